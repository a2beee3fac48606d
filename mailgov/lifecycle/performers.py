"""Which function does which kind of act. Each room of acts adds its own here."""

from mailgov.lifecycle import ending, suspension, transfers
from mailgov.lifecycle.planning import Performers

PERFORMERS: Performers = {
    **ending.PERFORMERS,
    **suspension.PERFORMERS,
    **transfers.PERFORMERS,
}
