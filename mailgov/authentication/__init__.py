"""Where mail from outside really comes from: SPF, DKIM, ARC, and DMARC over them."""

from mailgov.authentication.inbound import NOT_CHECKED, Authenticated, InboundAuthentication

__all__ = ["NOT_CHECKED", "Authenticated", "InboundAuthentication"]
