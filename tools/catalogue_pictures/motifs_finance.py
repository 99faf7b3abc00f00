"""Motifs of money: cards, savings, insurance and charts."""

import itertools

from .canvas import Canvas, Fill, arc, bezier, glossy, mix, shade, smooth, studio, tint, turn

_GOLD = "#f2c14e"


def card(colour: str, accent: str, wall: str, emblem: str = "rings", wood: bool = False) -> Canvas:
    """A payment card with "rings", a "plane", a "leaf", a "cap" or a "star" on it."""
    c = studio(wall)
    c.shadow(132, 202, 96, 10)
    c.polygon(turn(_plate(38, 76, 188, 118), -4), shade(colour, 0.5))
    c.polygon(turn(_plate(30, 64, 196, 124), -10), (tint(colour, 0.18), shade(colour, 0.2)))
    if wood:
        for y in (84, 104, 128, 150, 170):
            grain = bezier((36, y), (90, y - 14), (150, y + 14), (220, y))
            c.line(turn(grain, -10), shade(colour, 0.18), 2)
    else:
        c.polygon(turn([(120, 64), (180, 64), (110, 188), (50, 188)], -10), "#ffffff22")
    c.polygon(turn(_plate(50, 98, 38, 28, 5), -10), ("#f7dc8f", "#c99a3f"))
    c.line(turn([(50, 112), (88, 112)], -10), "#a87a2f", 1.5)
    c.line(turn([(69, 98), (69, 126)], -10), "#a87a2f", 1.5)
    for i in range(4):
        c.line(turn([(52 + i * 38, 144), (78 + i * 38, 144)], -10), tint(colour, 0.65), 5)
    c.line(turn([(52, 166), (118, 166)], -10), tint(colour, 0.5), 5)
    _emblem(c, emblem, accent)
    return c


def _plate(x: float, y: float, width: float, height: float, radius: float = 14) -> list[tuple[float, float]]:
    right, low = x + width, y + height
    corners = (
        (right - radius, low - radius, 0),
        (x + radius, low - radius, 90),
        (x + radius, y + radius, 180),
    )
    points = [p for cx, cy, start in corners for p in arc(cx, cy, radius, radius, start, start + 90)]
    return points + arc(right - radius, y + radius, radius, radius, 270, 360)


def _emblem(c: Canvas, emblem: str, colour: str) -> None:
    if emblem == "rings":
        c.circle(186, 152, 17, colour)
        c.circle(206, 148, 17, "#ffffff90")
    elif emblem == "plane":
        plane = [
            (164, 94),
            (184, 98),
            (196, 76),
            (203, 76),
            (200, 100),
            (218, 104),
            (223, 97),
            (227, 98),
            (225, 107),
            (227, 116),
            (222, 116),
            (217, 110),
            (199, 112),
            (200, 136),
            (193, 136),
            (183, 112),
            (164, 104),
        ]
        c.polygon(turn(plane, -22, (196, 100)), colour)
    elif emblem == "leaf":
        c.polygon(
            bezier((166, 112), (168, 76), (196, 66), (216, 68))
            + bezier((216, 68), (214, 96), (200, 116), (166, 112)),
            colour,
        )
        c.line([(160, 120), (202, 82)], shade(colour, 0.4), 3)
    elif emblem == "cap":
        c.polygon([(192, 74), (222, 84), (194, 98), (164, 88)], colour)
        c.polygon([(176, 94), (194, 102), (210, 92), (211, 106), (194, 114), (178, 108)], shade(colour, 0.2))
    else:
        outer, inner = arc(194, 92, 22, 22, -90, 270), arc(194, 92, 9.5, 9.5, -54, 306)
        c.polygon([p for i in range(5) for p in (outer[i * 18], inner[i * 18])], colour)


def piggy(body: str, coin: str, wall: str) -> Canvas:
    """A piggy bank and a falling coin."""
    c = studio(wall)
    c.shadow(126, 214, 88)
    for x in (78, 106, 148, 176):
        c.rect(x - 11, 176, 22, 36, glossy(shade(body, 0.2 if x in (106, 148) else 0.05)), 7)
    c.line(bezier((40, 136), (14, 132), (24, 108), (38, 118)), shade(body, 0.15), 6)
    c.ellipse(122, 140, 86, 60, glossy(body))
    c.polygon([(160, 92), (186, 62), (198, 104)], glossy(shade(body, 0.1)))
    c.ellipse(208, 140, 22, 25, glossy(tint(body, 0.15)))
    for y in (132, 148):
        c.ellipse(213, y, 4, 5.5, shade(body, 0.45))
    c.circle(178, 122, 6, "#2c2a33")
    c.circle(180, 120, 2, "#ffffff")
    c.line(arc(182, 160, 16, 10, 60, 150), shade(body, 0.4), 4)
    c.rect(92, 84, 52, 8, shade(body, 0.6), 4)
    c.ellipse(86, 112, 24, 10, "#ffffff60")
    _coin(c, 118, 48, 28, coin)
    return c


def _coin(c: Canvas, x: float, y: float, radius: float, colour: str) -> None:
    c.circle(x, y, radius, glossy(shade(colour, 0.2)))
    c.circle(x, y, radius * 0.86, glossy(tint(colour, 0.15)))
    c.circle(x, y, radius * 0.66, shade(colour, 0.12))
    c.rect(x - radius * 0.1, y - radius * 0.42, radius * 0.2, radius * 0.84, tint(colour, 0.5), 1.5)


def coins(metal: str, wall: str, heights: tuple[int, ...], sprout: str | None = None) -> Canvas:
    """Growing stacks of coins, perhaps with a sprout on the tallest."""
    c = studio(wall)
    c.shadow(128, 216, 104)
    width = 196 / len(heights)
    for i, height in enumerate(heights):
        x, radius = 30 + width * (i + 0.5), width * 0.42
        for level in range(height):
            y = 208 - level * 13
            c.ellipse(x, y, radius, 9, shade(metal, 0.35))
            c.ellipse(x, y - 5, radius, 9, glossy(tint(metal, 0.1 * (level % 2))))
        top = 203 - (height - 1) * 13
        c.ellipse(x, top, radius * 0.7, 5.5, shade(metal, 0.16))
        if sprout is not None and i == len(heights) - 1:
            c.line(bezier((x, top), (x, top - 16), (x - 4, top - 26), (x, top - 40)), shade(sprout, 0.2), 4)
            for side in (-1, 1):
                leaf = bezier(
                    (x, top - 30),
                    (x + side * 6, top - 54),
                    (x + side * 24, top - 56),
                    (x + side * 34, top - 52),
                )
                c.polygon(
                    leaf
                    + bezier(leaf[-1], (x + side * 30, top - 34), (x + side * 14, top - 26), (x, top - 30)),
                    glossy(sprout),
                )
    return c


def umbrella(even: str, odd: str, sky: Fill, shelters: str) -> Canvas:
    """An umbrella in the rain over a "suitcase", a "house", a "camera" or a "guitar"."""
    c = Canvas(sky)
    c.rect(0, 206, 256, 50, ("#5f7f8a", "#4a6672"))
    for x in range(12, 256, 34):
        for y in range(10 + x % 27, 200, 52):
            c.line([(x, y), (x - 5, y + 15)], "#ffffff90", 2.5)
    c.shadow(128, 214, 74)
    things = {"suitcase": _suitcase, "house": _cottage, "camera": _compact, "guitar": _ukulele}
    things[shelters](c)
    c.line([(128, 30), (128, 40)], "#3a2a24", 6)
    c.line([(128, 60), (128, 128)], "#3a2a24", 5)
    ribs = (24, 66, 107, 149, 190, 232)
    for i, (left, right) in enumerate(itertools.pairwise(ribs)):
        tone = even if i % 2 == 0 else odd
        edge = bezier((left, 124), (left + 12, 108), (right - 12, 108), (right, 124))
        up = bezier((right, 124), ((right + 128) / 2 + (right - 128) * 0.35, 74), (128, 40), (128, 36))
        down = bezier((128, 36), (128, 40), ((left + 128) / 2 + (left - 128) * 0.35, 74), (left, 124))
        c.polygon(edge + up + down, glossy(tone))
    return c


def _suitcase(c: Canvas) -> None:
    for x in (102, 148):
        c.rect(x, 118, 6, 26, "#55555f")
    c.rect(100, 114, 56, 8, "#2c2a33", 3)
    c.rect(80, 138, 96, 76, glossy("#c9743f"), 10)
    for x in (96, 116, 136, 156):
        c.rect(x, 142, 5, 68, "#a85a2c", 2)
    c.circle(108, 170, 12, "#fff3c9")
    c.rect(134, 180, 28, 16, "#5fb0c8", 3)


def _cottage(c: Canvas) -> None:
    c.rect(84, 162, 88, 54, ("#fbeccb", "#ead3a0"))
    c.rect(150, 134, 12, 24, "#8a4a3a")
    c.polygon([(72, 166), (128, 128), (184, 166)], glossy("#a8483a"))
    c.rect(118, 184, 22, 32, glossy("#6b4a30"), 2)
    for x in (92, 148):
        c.rect(x, 174, 18, 18, "#ffe08a", 2)


def _compact(c: Canvas) -> None:
    c.rect(104, 138, 48, 18, "#2c2a33", 4)
    c.rect(70, 148, 116, 68, glossy("#3a3a42"), 10)
    c.rect(70, 166, 116, 34, "#24242a")
    for radius, fill in ((31, "#55555f"), (26, "#15151c"), (18, "#3a56a0"), (8, "#141a35")):
        c.circle(128, 182, radius, fill)
    c.ellipse(121, 175, 5, 3.5, "#ffffffc0")
    c.circle(174, 157, 4, _GOLD)


def _ukulele(c: Canvas) -> None:
    c.polygon(
        smooth(
            [
                (128, 150),
                (146, 152),
                (152, 168),
                (148, 178),
                (162, 194),
                (152, 216),
                (128, 220),
                (104, 216),
                (94, 194),
                (108, 178),
                (104, 168),
                (110, 152),
            ]
        ),
        glossy("#d9963f"),
    )
    c.circle(128, 180, 11, "#3a2418")
    c.rect(122, 112, 12, 66, "#5a3a24")
    c.rect(112, 202, 32, 5, "#5a3a24", 2)
    for x in (125, 128, 131):
        c.line([(x, 114), (x, 204)], "#fff6dc", 0.8)


def chart(line: str, wall: str, values: tuple[int, ...], emblem: str | None = None) -> Canvas:
    """A board with a rising line over bars, with a red disc behind it ("sun") or a gold star on it."""
    c = studio(wall)
    c.shadow(128, 220, 106)
    c.line([(70, 176), (52, 220)], "#8a5a34", 8)
    c.line([(186, 176), (204, 220)], "#8a5a34", 8)
    c.rect(22, 30, 212, 162, glossy("#fbf8ef"), 10)
    if emblem == "sun":
        c.circle(82, 80, 30, "#d9433f")
    for y in (66, 98, 130, 162):
        c.line([(36, y), (220, y)], "#d9d4c4", 1.5)
    step = 180 / len(values)
    tops = [(40 + step * (i + 0.5), 176 - value) for i, value in enumerate(values)]
    for (x, y), share in zip(tops, range(len(values)), strict=True):
        tone = mix(tint(line, 0.6), line, share / len(values))
        c.rect(x - step * 0.32, y + 16, step * 0.64, 164 - y, glossy(tone), 3)
    c.line(tops, shade(line, 0.35), 5)
    for x, y in tops:
        c.circle(x, y, 6, shade(line, 0.35))
        c.circle(x, y, 3, "#ffffff")
    if emblem == "star":
        outer, inner = arc(66, 72, 24, 24, -90, 270), arc(66, 72, 10.5, 10.5, -54, 306)
        c.polygon([p for i in range(5) for p in (outer[i * 18], inner[i * 18])], glossy(_GOLD))
    return c


def house(wall_paint: str, roof: str, sky: Fill, badge: str) -> Canvas:
    """A house with a "shield", a "key" or "solar" panels."""
    c = Canvas(sky)
    for x, y, r in ((40, 52, 15), (60, 46, 20), (82, 54, 14)):
        c.circle(x, y, r, "#eef5fb")
    c.polygon(
        smooth([(-30, 206), (60, 186), (170, 196), (290, 184), (290, 290), (-30, 290)]),
        ("#8fc07a", "#5f9a5a"),
    )
    c.shadow(118, 222, 98)
    c.rect(160, 60, 20, 50, glossy("#a8705a"))
    c.rect(44, 118, 148, 104, (tint(wall_paint, 0.25), wall_paint))
    c.polygon([(26, 124), (118, 44), (210, 124)], glossy(roof))
    c.rect(100, 160, 36, 62, glossy("#6b4a30"), 3)
    c.circle(129, 192, 3, _GOLD)
    for x in (58, 150):
        c.rect(x, 142, 30, 34, "#ffffff", 3)
        c.rect(x + 3, 145, 24, 28, ("#bfe3f2", "#8fc6e0"))
        c.line([(x + 15, 145), (x + 15, 173)], "#ffffff", 2)
    if badge == "solar":
        c.polygon([(118, 62), (148, 88), (112, 116), (70, 116)], "#22407a")
        for a, b in (((104, 74), (128, 103)), ((90, 88), (134, 100)), ((86, 102), (132, 74))):
            c.line([a, b], "#8fb8ff", 1.5)
        c.circle(222, 46, 22, "#ffd75a")
    elif badge == "key":
        c.circle(204, 156, 26, glossy(_GOLD))
        c.circle(204, 156, 12, "#8fb87a")
        c.rect(198, 178, 12, 58, glossy(_GOLD), 3)
        for y in (208, 224):
            c.rect(206, y, 18, 8, glossy(_GOLD), 2)
    else:
        half = bezier((198, 128), (216, 144), (228, 142), (236, 142)) + bezier(
            (236, 142), (238, 192), (222, 212), (198, 224)
        )
        c.polygon(half + [(396 - x, y) for x, y in reversed(half)], glossy("#2f7fb8"))
        c.line([(182, 176), (194, 190), (216, 160)], "#ffffff", 8)
    return c
