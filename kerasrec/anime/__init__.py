"""The anime recommender: AniList or MyAnimeList data in SQLite, and what is made of it."""
