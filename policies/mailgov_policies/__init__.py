"""Judging: facts and a ruleset in, a verdict out. Nothing here knows a socket, clock or database."""

from mailgov_policies.engine import RULE_FAILED, joint_verdict, judge
from mailgov_policies.facts import (
    Attachment,
    Authentication,
    Content,
    Document,
    Envelope,
    Facts,
    Header,
    Mark,
    Page,
    Person,
    Receipt,
    RecipientFacts,
    ScannedPages,
    Signature,
    Text,
)
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.rules import RULES, RULES_BY_KEY
from mailgov_policies.ruleset import DUTIES, Row, Ruleset, View
from mailgov_policies.ruleset_file import Problem, RulesetError, default_ruleset, load_ruleset
from mailgov_policies.verdict import Action, Finding, Hit, Verdict

__all__ = [
    "DUTIES",
    "RULES",
    "RULES_BY_KEY",
    "RULE_FAILED",
    "Action",
    "Attachment",
    "Authentication",
    "Content",
    "Document",
    "Envelope",
    "Facts",
    "Finding",
    "Header",
    "Hit",
    "Mark",
    "Page",
    "Person",
    "Problem",
    "Receipt",
    "RecipientFacts",
    "Row",
    "Rule",
    "Ruleset",
    "RulesetError",
    "ScannedPages",
    "Settings",
    "Signature",
    "Text",
    "Verdict",
    "View",
    "default_ruleset",
    "joint_verdict",
    "judge",
    "load_ruleset",
]
