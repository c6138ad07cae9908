"""The app's files: the same words in each language, all of them for offline use, nothing from outside."""

import json
import re
from pathlib import Path

import pytest

WEBAPP = Path(__file__).resolve().parents[2] / "tools" / "webapp"
LANGUAGES = ("en", "nl", "de")
LINE = re.compile(r'^  "([^"]+)": "(.*)",$')
NOT_KEPT = {"index.html", "sw.js"}  # the first is kept as "./"


def table(language: str) -> dict[str, str]:
    lines = (
        (WEBAPP / "lang" / f"{language}.js").read_text().split("export default {\n")[1].split("\n};")[0].splitlines()
    )
    found: dict[str, str] = {}
    for line in filter(None, lines):
        match = LINE.match(line)
        assert match, f"{language}: not a line of the table: {line}"
        assert match[1] not in found, f"{language}: {match[1]} stands there twice"
        found[match[1]] = match[2]
    return found


def sources() -> str:
    return "\n".join(path.read_text() for path in sorted(WEBAPP.rglob("*.js")) if path.parent.name != "lang")


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_each_language_has_the_same_keys_with_the_same_places_for_values(language):
    english, other = table("en"), table(language)
    assert list(other) == list(english)
    for key, text in english.items():
        assert sorted(re.findall(r"\{\w+\}", other[key])) == sorted(re.findall(r"\{\w+\}", text)), key
        assert bool(other[key]) == bool(text), key


def test_no_key_is_unused_and_none_is_missing():
    text = sources()
    plain = set(re.findall(r'"([a-z][a-z0-9_]*(?:\.[a-zA-Z0-9_.]+)?)"', text))
    prefixes = tuple(set(re.findall(r"`([a-z_]+(?:\.[a-z]+)*[._])\$\{", text)))
    english = table("en")
    unused = [key for key in english if key not in plain and not key.startswith(prefixes)]
    assert not unused
    asked = set(re.findall(r'\b(?:t|named)\("([^"]+)"', text))
    assert not asked - set(english)


def test_every_setting_fault_and_limit_of_the_firmware_has_its_words():
    firmware = WEBAPP.parents[1] / "firmware" / "wallbox"
    schema = (firmware / "storage" / "settings.py").read_text().split("SCHEMA = (\n")[1].split("\n)\n")[0]
    faults = (firmware / "protection" / "faults.py").read_text().split("CATALOGUE = (\n")[1].split("\n)\n")[0]
    limits = (firmware / "charging" / "offer.py").read_text()
    names = re.findall(r'"(\w+)"', limits.split("NAMES = (")[1].split(")")[0])
    why = set(re.findall(r'_answer\(\s*"([a-z_0-9]+)"', (firmware / "charging" / "why.py").read_text()))
    wanted = {f"set.{key}" for key in re.findall(r'^    \("(\w+)"', schema, re.M)}
    for name in re.findall(r'^    \("(\w+)"', faults, re.M):
        wanted |= {f"fault.{name}", f"todo.{name}"}
    wanted |= {f"limit.{name}" for name in names} | {f"why.{code}" for code in why if not code.endswith("_")}
    assert len(wanted) > 80, wanted
    assert not wanted - set(table("en"))


def test_the_service_worker_keeps_every_file_of_the_app():
    listed = set(re.findall(r'^  "(.*)",$', (WEBAPP / "sw.js").read_text(), re.M))
    there = {str(path.relative_to(WEBAPP)) for path in WEBAPP.rglob("*") if path.is_file()}
    assert listed == (there - NOT_KEPT) | {"./"}


def test_the_app_can_be_installed():
    manifest = json.loads((WEBAPP / "app.webmanifest").read_text())
    assert manifest["display"] == "standalone" and manifest["start_url"] == "./"
    sizes = {icon["sizes"] for icon in manifest["icons"]}
    assert {"192x192", "512x512"} <= sizes
    for icon in manifest["icons"]:
        path = WEBAPP / icon["src"]
        if path.suffix == ".png":
            width, height = (int.from_bytes(path.read_bytes()[at : at + 4], "big") for at in (16, 20))
            assert icon["sizes"] == f"{width}x{height}", path


def test_nothing_comes_from_another_origin_and_no_style_or_script_stands_in_the_page():
    for path in WEBAPP.rglob("*"):
        if path.suffix not in (".html", ".css", ".js", ".webmanifest"):
            continue
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://\w", text), path
        assert not re.search(r"<script(?![^>]*\bsrc=)|\bstyle=|@import|url\(", text), path


def test_no_file_imports_what_is_not_there():
    for path in WEBAPP.rglob("*.js"):
        for name, source in re.findall(r'^import (.*?) from "(.*?)";$', path.read_text(), re.M):
            target = (path.parent / source).resolve()
            assert target.is_file(), f"{path.name}: {source}"
            exported = target.read_text()
            for one in re.findall(r"[\w$]+", name.partition("{")[2].partition("}")[0]):
                assert re.search(rf"export (?:async )?(?:function|const|class) {re.escape(one)}(?![\w$])", exported), (
                    f"{path.name}: {one} of {source}"
                )
                body = path.read_text().replace(f'import {name} from "{source}";', "")
                assert re.search(rf"(?<![\w$]){re.escape(one)}(?![\w$])", body), f"{path.name} does not use {one}"
