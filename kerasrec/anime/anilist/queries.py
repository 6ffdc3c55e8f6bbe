"""Every query that is sent to AniList."""

PER_PAGE = 50
"""Titles per page, AniList's maximum."""

PER_CHUNK = 500
"""Entries per chunk of a list, AniList's maximum."""

# ID orders titles that are equal in the first sort, so that no title is missed between two pages.
TITLE_PAGE = """
query TitlePage($page: Int!, $perPage: Int!, $sort: [MediaSort!]!) {
  Page(page: $page, perPage: $perPage) {
    pageInfo {
      hasNextPage
    }
    media(type: ANIME, sort: $sort) {
      id
      idMal
      title {
        romaji
        english
        native
      }
      synonyms
      format
      episodes
      seasonYear
      startDate {
        year
      }
      averageScore
      meanScore
      popularity
      coverImage {
        large
      }
      isAdult
      genres
      tags {
        id
        name
        category
        rank
        isGeneralSpoiler
        isMediaSpoiler
        isAdult
      }
      relations {
        edges {
          relationType(version: 2)
          node {
            id
            type
          }
        }
      }
    }
  }
}
"""

# MEDIA_ID keeps the chunks apart even when the list's owner changes an entry while it is read. Custom lists are asked
# for as well: entries may be hidden from all others.
LIST_CHUNK = """
query ListChunk($name: String!, $chunk: Int!, $perChunk: Int!) {
  MediaListCollection(
    userName: $name
    type: ANIME
    chunk: $chunk
    perChunk: $perChunk
    sort: [MEDIA_ID]
    forceSingleCompletedList: true
  ) {
    hasNextChunk
    user {
      id
      name
      mediaListOptions {
        scoreFormat
      }
    }
    lists {
      entries {
        mediaId
        status
        score(format: POINT_100)
        progress
        startedAt {
          year
          month
          day
        }
        completedAt {
          year
          month
          day
        }
        updatedAt
      }
    }
  }
}
"""
