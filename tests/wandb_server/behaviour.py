"""What is unknown about W&B's cloud, as settings of the server."""

from __future__ import annotations

from dataclasses import dataclass, field

# What the schema offers and the client asks `serverInfo` for before it uses it.
FEATURES = frozenset(
    {
        "ARTIFACT_COLLECTION_MEMBERSHIP_FILES",
        "ARTIFACT_DIGEST_ALGORITHM",
        "ARTIFACT_TAGS",
        "CLIENT_IDS",
        "FILESTREAM_GZIP",
        "MARK_RUN_FILES_UPLOADED",
        "PROJECT_ARTIFACT_COLLECTION_MEMBERSHIP",
        "TOTAL_COUNT_IN_FILE_CONNECTION",
    }
)


@dataclass
class Behaviour:
    """Answers that the cloud may give either way.

    `ne_matches_absent`: `$ne` finds runs without the key (as MongoDB does; SQL does not).
    `nonfinite`: NaN and infinities in JSON text as "strings" or as bare "tokens"; where the
    client parses strictly (sampled history) they are always strings, in parquet always doubles.
    `parquet_nested`: nested dictionaries in parquet as "struct" columns, in which the client
    finds no `a.b`, or as "flat" ones.
    `exact_pages`: a page of history holds all rows of its steps, rather than at most `samples`.
    `keeps_view_names`: a new view is stored under the name that the client gives it.
    `filters_views`: views are listed by the name that is asked for, rather than all of them.
    """

    ne_matches_absent: bool = False
    nonfinite: str = "strings"
    parquet_nested: str = "struct"
    exact_pages: bool = True
    keeps_view_names: bool = True
    filters_views: bool = True
    features: frozenset[str] = field(default=FEATURES)
