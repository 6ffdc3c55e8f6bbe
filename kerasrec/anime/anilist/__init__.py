"""AniList's GraphQL API: queries, rate limit, client and typed answers. kerasrec for AniList is unofficial."""
