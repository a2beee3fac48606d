"""Which function does which kind of act. Each room of acts adds its own here."""

from mailgov.lifecycle import agencies, ending, posts, suspension, transfers
from mailgov.lifecycle.planning import Performers

PERFORMERS: Performers = {
    **agencies.PERFORMERS,
    **posts.PERFORMERS,
    **ending.PERFORMERS,
    **suspension.PERFORMERS,
    **transfers.PERFORMERS,
}
