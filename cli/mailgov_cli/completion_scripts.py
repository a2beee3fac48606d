"""What each shell is told, so that it asks the program what could come next."""

BASH = """\
_mailgov() {
    local IFS=$'\\n'
    COMPREPLY=($(_MAILGOV_COMPLETE=bash _MAILGOV_LINE="${COMP_LINE:0:COMP_POINT}" _MAILGOV_PART="$2" "$1" 2>/dev/null))
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
    return 0
}
complete -o default -F _mailgov mailgov
"""

ZSH = """\
#compdef mailgov
_mailgov() {
    local -a found
    found=(${(f)"$(_MAILGOV_COMPLETE=zsh _MAILGOV_LINE="${(j: :)words[1,CURRENT]}" $words[1] 2>/dev/null)"})
    if (( $#found )); then
        _describe -V mailgov found
    else
        _files
    fi
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _mailgov "$@"
else
    compdef _mailgov mailgov
fi
"""

FISH = """\
function __mailgov_complete
    set -l found (_MAILGOV_COMPLETE=fish _MAILGOV_LINE=(commandline -cp | string collect) mailgov 2>/dev/null)
    if test -n "$found[1]"
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c mailgov -f -a '(__mailgov_complete)'
"""

POWERSHELL = """\
Register-ArgumentCompleter -Native -CommandName mailgov -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $line = $commandAst.ToString()
    $length = [Math]::Min($cursorPosition, $line.Length)
    $env:_MAILGOV_COMPLETE = "powershell"
    $env:_MAILGOV_LINE = $line.Substring(0, $length)
    if ($cursorPosition -gt $line.Length) { $env:_MAILGOV_LINE += " " }
    try {
        mailgov 2>$null | ForEach-Object {
            $value, $told = $_ -split "`t", 2
            if (-not $told) { $told = $value }
            [System.Management.Automation.CompletionResult]::new($value, $value, "ParameterValue", $told)
        }
    } finally {
        Remove-Item Env:_MAILGOV_COMPLETE, Env:_MAILGOV_LINE
    }
}
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH, "powershell": POWERSHELL}

# Where a shell looks by itself, below the person's home; PowerShell reads its profile alone.
PLACES = {
    "bash": ".local/share/bash-completion/completions/mailgov",
    "zsh": ".local/share/zsh/site-functions/_mailgov",
    "fish": ".config/fish/completions/mailgov.fish",
}
