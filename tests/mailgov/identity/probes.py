"""Recipients with which relays are tried: each names somebody elsewhere, to some server or other."""

from ...support.directory import AN
from ...support.relay import HOSTNAME

COUNT = 250
FOREIGN = "nannhan@noikhac.test"
_LOCAL, _, _DOMAIN = FOREIGN.partition("@")
_OUR_LOCAL, _, _OURS = AN.partition("@")

# {v}@{d} is the victim; {o} one of our names or addresses.
_AT_OURS = (
    "<{v}%{d}@{o}>",
    "<{v}%{d}%x@{o}>",
    "<%{v}%{d}@{o}>",
    "<{d}!{v}@{o}>",
    "<{d}!x!{v}@{o}>",
    "<x!{v}%{d}@{o}>",
    '<"{v}@{d}"@{o}>',
    '<"{v}%{d}"@{o}>',
    '<"{d}!{v}"@{o}>',
    '<"<{v}@{d}>"@{o}>',
    '<"{v}@{d}\\ "@{o}>',
    "<{v}@{d}@{o}>",
    "<{v}@{d},@{o}>",
    "<@{o}:{v}@{d}>",
    "<@{o},@{o}:{v}@{d}>",
    "<@{o},{v}@{d}>",
    "<{o}!{v}@{d}>",
    "<{v}@{d}%{o}>",
    "<{v}@{o}@{d}>",
    "<{v}@{o}%{d}>",
    "<{v}={d}@{o}>",
    "<{v}+{d}@{o}>",
    "<{v}#{d}@{o}>",
    "<{v}/{d}@{o}>",
    "<{v}|{d}@{o}>",
    "<smtp:{v}@{d}@{o}>",
    "<{v}@{o}.{d}>",
    "<{v}@{d}.{o}>",
)
_NAMES = (_OURS, HOSTNAME, "[127.0.0.1]", "127.0.0.1", "localhost", "tinhmau.test", _OURS.upper())
_PLAIN = (
    "<{v}@{d}>",
    "<{v}@{D}>",
    "<{V}@{D}>",
    "<{v}@{d}.>",
    "<{v}@.{d}>",
    "<{v}@{d}:25>",
    "<{v}@x.{d}>",
    "<{v}@[192.0.2.1]>",
    "<{v}@[IPv6:2001:db8::1]>",
    "<{v}@[{d}]>",
    "<{v}@192.0.2.1>",
    "<{v}@0xc0000201>",
    "<{v}@3221225985>",
    "<{v}%{d}>",
    "<{d}!{v}>",
    '<"{v}@{d}">',
    '<"{v}%{d}">',
    '<"{v}"@{d}>',
    '<"\\{v}"@{d}>',
    "<{v}>",
    "{v}@{d}",
    "{v}@{d}>",
    "<{v}@{d}",
    "<<{v}@{d}>>",
    "< {v}@{d}>",
    "<{v}@{d} >",
    "<{v} @{d}>",
    "<{v}@ {d}>",
    "<{v}@{d}>,<{a}>",
    "<{a}>,<{v}@{d}>",
    "<{a}> <{v}@{d}>",
    "<{a}>;<{v}@{d}>",
    "<{a}>{v}@{d}",
    "<{a}>\t<{v}@{d}>",
    "<{a},{v}@{d}>",
    "<{a};{v}@{d}>",
    "<{a} {v}@{d}>",
    "<{a}\\>{v}@{d}>",
    "<{a}(x)>",
    "(x)<{v}@{d}>",
    "<{v}(x)@{d}>",
    "nhom:<{v}@{d}>;",
    "<nhom:{v}@{d};>",
    "An <{v}@{d}>",
    '"An" <{v}@{d}>',
    "<{v}@{d}> ORCPT=rfc822;{a}",
    "<{v}@{d}> NOTIFY=NEVER",
    "<{v}@{d}> RELAY=YES",
    "<{v}@{d}> SIZE=1",
    "<postmaster@{d}>",
    "<postmaster%{d}>",
    "<postmaster%{d}@{h}>",
    "<{a}%{d}>",
    "<{a}@{d}>",
    "<{v}@{d}\\@{o}>",
    "<{v}\\@{d}@{o}>",
    "<{v}@xn--noikhac-.test>",
    "<{v}@{o}\u3002{d}>",
    "<{v}\uff20{d}@{o}>",
    "<{v}@\uff4eoikhac.test>",
    "<\u0430nnv@{o}>",
    "<=?utf-8?Q?{v}=40{d}?=@{o}>",
    "<mailto:{v}@{d}>",
    "<//{d}/{v}@{o}>",
)


def probes() -> list[str]:
    """COUNT arguments of RCPT, without `TO:`."""
    values = {
        "v": _LOCAL,
        "V": _LOCAL.upper(),
        "d": _DOMAIN,
        "D": _DOMAIN.upper(),
        "a": AN,
        "h": HOSTNAME,
    }
    made = [form.format(o=_OURS, **values) for form in _PLAIN]
    made += [form.format(o=name, **values) for name in _NAMES for form in _AT_OURS]
    return list(dict.fromkeys(made))[:COUNT]
