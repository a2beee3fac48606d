"""Reports that domains send each other about their mail: DMARC (RFC 7489, 7.2) and TLS (RFC 8460)."""
