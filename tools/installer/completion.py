"""Completion for bash, zsh and fish, written from the parser itself, so that it can lack nothing."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

from installer.options import PROGRAM


@dataclass(frozen=True)
class Node:
    """What may follow a command: words with their help, options with theirs, and whether files are wanted."""

    path: tuple[str, ...]
    words: dict[str, str]
    options: dict[str, str]
    files: bool


def nodes(parser: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> Iterator[Node]:
    """The parser and all parsers below it."""
    words: dict[str, str] = {}
    options: dict[str, str] = {}
    files = False
    below: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:
        files |= getattr(action.type, "__name__", "") == "Path"
        if isinstance(action, argparse._SubParsersAction):
            below = dict(action.choices)
            words.update({choice.dest: choice.help or "" for choice in action._choices_actions})
        elif action.option_strings:
            options[action.option_strings[-1]] = action.help or ""
        elif action.choices:
            words.update({str(choice): "" for choice in action.choices})
    yield Node(path, words, options, files)
    for name, child in below.items():
        yield from nodes(child, (*path, name))


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    """The completion script of a shell: "bash", "zsh" or "fish"."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](list(nodes(parser)))


def _cases(found: list[Node]) -> Iterator[str]:
    """The body of a case over the command so far, for bash and zsh alike."""
    for node in found:
        words = " ".join([*node.words, *node.options])
        yield f'        "{" ".join(node.path)}") words="{words}"; files={int(node.files)} ;;'


def _walk(found: list[Node]) -> str:
    """A case pattern of all commands, to tell them from values."""
    return "|".join(f'"{" ".join(node.path)}"' for node in found if node.path)


def _bash(found: list[Node]) -> str:
    return "\n".join(
        [
            f"_{PROGRAM}() {{",
            '    local path="" word words="" files=0',
            '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
            '        case "${path:+$path }$word" in',
            f'            {_walk(found)}) path="${{path:+$path }}$word" ;;',
            "        esac",
            "    done",
            '    case "$path" in',
            *_cases(found),
            "    esac",
            '    local current="${COMP_WORDS[COMP_CWORD]}"',
            '    COMPREPLY=($(compgen -W "$words" -- "$current"))',
            '    if [ "$files" = 1 ] && [ "${#COMPREPLY[@]}" = 0 ]; then',
            '        COMPREPLY=($(compgen -f -- "$current"))',
            "    fi",
            "}",
            f"complete -F _{PROGRAM} {PROGRAM}",
            "",
        ]
    )


def _zsh(found: list[Node]) -> str:
    return "\n".join(
        [
            f"#compdef {PROGRAM}",
            f"_{PROGRAM}() {{",
            '    local path_so_far="" word words_now="" files=0',
            '    for word in "${(@)words[2,CURRENT-1]}"; do',
            '        case "${path_so_far:+$path_so_far }$word" in',
            f'            {_walk(found)}) path_so_far="${{path_so_far:+$path_so_far }}$word" ;;',
            "        esac",
            "    done",
            '    case "$path_so_far" in',
            *(line.replace("words=", "words_now=") for line in _cases(found)),
            "    esac",
            "    compadd -- ${=words_now}",
            '    [ "$files" = 1 ] && _files',
            "    return 0",
            "}",
            f"compdef _{PROGRAM} {PROGRAM}",
            "",
        ]
    )


def _fish(found: list[Node]) -> str:
    lines = [f"complete -c {PROGRAM} -f"]
    for node in found:
        here = _fish_condition(node)
        for word, text in node.words.items():
            lines.append(f"complete -c {PROGRAM} -n '{here}' -a {word} -d '{_quoted(text)}'")
        for option, text in node.options.items():
            kind = f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
            lines.append(f"complete -c {PROGRAM} -n '{here}' {kind} -d '{_quoted(text)}'")
        if node.files:
            lines.append(f"complete -c {PROGRAM} -n '{here}' -F")
    return "\n".join([*lines, ""])


def _fish_condition(node: Node) -> str:
    if not node.path:
        return "not __fish_seen_subcommand_from " + " ".join(node.words)
    seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in node.path)
    if len(node.path) == 1 and node.words:
        seen += "; and not __fish_seen_subcommand_from " + " ".join(node.words)
    return seen


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
