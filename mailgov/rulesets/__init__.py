"""Rulesets on disk: that of the installation, and those of agencies along their tree."""

from mailgov.rulesets.agencies import AgencyRulesets, lineage
from mailgov.rulesets.files import agency_files, below, lay, read_ruleset

__all__ = ["AgencyRulesets", "agency_files", "below", "lay", "lineage", "read_ruleset"]
