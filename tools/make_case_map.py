#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes runtime/ops/lib/case_map.inc: Unicode's simple case mappings beyond ASCII, from Python's tables.

Usage: tools/make_case_map.py > runtime/ops/lib/case_map.inc
"""
import sys
import unicodedata


def simple(char, kind):
    """The mapping to one character, or the character itself."""
    for text in (char.lower(),) if kind == "lower" else (char.upper(), char.title()):
        if len(text) == 1:
            return text
    return "i" if char == "\u0130" else char


def mappings(kind):
    chars = (chr(c) for c in range(128, sys.maxunicode + 1) if not 0xD800 <= c < 0xE000)
    return {ord(c): ord(simple(c, kind)) - ord(c) for c in chars if simple(c, kind) != c}


def ranges(deltas):
    """(first, last, step, delta): runs of neighbours, or of every second character."""
    left = sorted(deltas)
    while left:
        first, best = left[0], (left[0], 1)
        for step in (1, 2):
            last = first
            while deltas.get(last + step) == deltas[first] and (step == 1 or last + 1 not in deltas):
                last += step
            if last - first > best[0] - first:
                best = (last, step)
        yield first, best[0], best[1], deltas[first]
        left = [c for c in left if c > best[0]]


def main():
    print("// Made by tools/make_case_map.py from Unicode %s. {first, last, step, delta}, ascending." % unicodedata.unidata_version)
    for kind in ("lower", "upper"):
        print("static const struct case_range to_%s[] = {" % kind)
        line = "   "
        for r in ranges(mappings(kind)):
            item = " {0x%x, 0x%x, %d, %d}," % r
            if len(line) + len(item) > 100:
                print(line)
                line = "   "
            line += item
        print(line + "\n};")


main()
