"""The anime recommender: data of AniList or MyAnimeList in SQLite, a model, and lists of recommended titles."""
