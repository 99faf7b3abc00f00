"""Motifs of towns and monuments."""

from .canvas import Canvas, Fill, arc, bezier, glossy, shade, smooth, tint

_DARK = "#2c2a33"


def pagoda(timber: str, roof: str, sky: Fill, blossom: str, tiers: int = 5) -> Canvas:
    """A tiered temple tower among trees in flower or in autumn leaf."""
    c = Canvas(sky)
    c.circle(200, 56, 24, "#fff0c8")
    c.polygon(
        smooth([(-40, 190), (50, 150), (140, 176), (220, 150), (300, 180), (300, 230), (-40, 230)]), "#7f9f98"
    )
    c.polygon(
        smooth([(-40, 220), (60, 204), (160, 212), (300, 200), (300, 300), (-40, 300)]),
        ("#8fb07a", "#6a8f5f"),
    )
    c.line([(128, 14), (128, 52)], "#a8842f", 3)
    for ring in (22, 30, 38):
        c.ellipse(128, ring, 6, 2, "#a8842f")
    step = 172 / tiers
    for i in range(tiers):
        y, half = 46 + i * step, 34 + i * 34 / tiers
        c.rect(128 - half * 0.62, y + step * 0.3, half * 1.24, step * 0.75, glossy(timber))
        for share in (-0.4, 0.0, 0.4):
            c.rect(126 + share * half, y + step * 0.42, 5, step * 0.55, shade(timber, 0.45))
        eave = bezier(
            (128 - half - 8, y + step * 0.36),
            (128 - half, y + step * 0.4),
            (128 - half * 0.5, y + step * 0.2),
            (128 - half * 0.36, y),
        )
        c.polygon(eave + [(256 - x, yy) for x, yy in reversed(eave)], glossy(roof))
    c.rect(66, 214, 124, 12, "#b8b0a4", 2)
    for x, y in ((36, 206), (222, 210)):
        c.line([(x, y + 20), (x, y - 24)], "#4a3028", 7)
        for dx, dy, r in ((-18, -28, 20), (14, -32, 22), (-2, -48, 22), (24, -14, 14), (-28, -12, 13)):
            c.circle(x + dx, y + dy, r, glossy(blossom))
        for dx, dy in ((-14, -34), (10, -40), (4, -20), (-22, -18), (20, -24)):
            c.circle(x + dx, y + dy, 3, tint(blossom, 0.6))
    return c


def torii(gate: str, sky: Fill, sea: str, island: str) -> Canvas:
    """A shrine gate in the water before an island."""
    c = Canvas(sky)
    c.circle(128, 122, 44, "#ffe6b0")
    c.polygon(
        smooth(
            [(-40, 170), (30, 120), (90, 146), (170, 112), (240, 142), (300, 160), (300, 190), (-40, 190)]
        ),
        glossy(island),
    )
    c.rect(0, 168, 256, 88, (tint(sea, 0.35), shade(sea, 0.1)))
    for x in (76, 180):
        c.polygon([(x - 4, 216), (x + 4, 216), (x + 6, 244), (x - 6, 244)], gate + "70")
        c.polygon([(x - 6, 84), (x + 6, 84), (x + 9, 216), (x - 9, 216)], glossy(gate))
        c.rect(x - 13, 204, 26, 14, _DARK, 3)
    c.rect(58, 114, 140, 11, glossy(gate))
    c.rect(120, 84, 16, 32, glossy(gate))
    beam = bezier((30, 62), (84, 76), (172, 76), (226, 62)) + bezier((220, 84), (170, 92), (86, 92), (36, 84))
    c.polygon(beam, glossy(gate))
    c.line(bezier((28, 58), (84, 72), (172, 72), (228, 58)), _DARK, 8)
    for x, y, length in ((20, 188, 40), (150, 196, 60), (30, 228, 30), (196, 232, 44), (104, 214, 40)):
        c.line([(x, y), (x + length, y)], "#ffffff80", 2.5)
    return c


def skyline(sky: Fill, near: str, light: str, towers: str) -> Canvas:
    """A city by the water at night: stepped towers ("stepped") or a television tower ("pearl")."""
    c = Canvas(sky)
    c.circle(52, 46, 18, "#fff4cf")
    for i, (x, width, height) in enumerate(
        ((0, 40, 70), (34, 30, 96), (58, 38, 62), (150, 34, 84), (182, 30, 60), (206, 50, 92))
    ):
        c.rect(x, 178 - height, width, height, tint(near, 0.22 + 0.06 * (i % 2)))
    buildings = [(8, 34, 82), (44, 28, 108), (74, 30, 72), (158, 30, 96), (190, 34, 124), (226, 30, 76)]
    for i, (x, width, height) in enumerate(buildings):
        c.rect(x, 178 - height, width, height, (tint(near, 0.08), near))
        for wx in range(x + 5, x + width - 6, 8):
            for wy in range(186 - height, 170, 12):
                if (wx * 7 + wy * 3 + i) % 5 > 1:
                    c.rect(wx, wy, 4, 6, light)
    if towers == "pearl":
        c.line([(132, 178), (132, 24)], tint(near, 0.35), 7)
        c.line([(132, 40), (132, 10)], tint(near, 0.5), 3)
        for x in (112, 152):
            c.line([(132, 120), (x, 178)], tint(near, 0.35), 5)
        for y, r in ((134, 19), (82, 13), (50, 6)):
            c.circle(132, y, r, ("#f08ac0", "#8a3f9a"))
            c.ellipse(132 - r * 0.3, y - r * 0.4, r * 0.3, r * 0.2, "#ffffffa0")
    else:
        for width, top in ((46, 86), (34, 62), (22, 44)):
            c.rect(132 - width / 2, top, width, 178 - top, glossy(tint(near, 0.16)))
        c.polygon([(124, 44), (132, 8), (140, 44)], tint(near, 0.3))
        for x in (114, 123, 132, 141):
            for y in range(70 if 116 < x < 140 else 94, 172, 11):
                if (x + y) % 3:
                    c.rect(x, y, 4, 6, light)
    c.rect(0, 178, 256, 78, (shade(near, 0.1), shade(near, 0.5)))
    for i in range(26):
        x, y = (i * 53) % 246, 186 + (i * 29) % 64
        c.line([(x, y), (x + 10 + i % 3 * 8, y)], (light if i % 3 else "#f08ac0") + "90", 2.5)
    return c


def castle(stone: str, roof: str, sky: Fill) -> Canvas:
    """A castle on a vineyard hill above a river."""
    c = Canvas(sky)
    for x, y, r in ((36, 50, 14), (56, 44, 18), (220, 66, 14), (200, 62, 18)):
        c.circle(x, y, r, "#eef7fb")
    c.polygon(
        smooth([(-40, 236), (40, 180), (128, 158), (216, 180), (300, 240), (300, 300), (-40, 300)]),
        ("#86b06a", "#4f7f4a"),
    )
    for y in (200, 216, 232):
        c.line(bezier((-6, y + 26), (70, y - 6), (186, y - 6), (262, y + 26)), "#3f6a3c", 2)
    for x, width, top in ((64, 30, 100), (162, 30, 92), (112, 34, 62)):
        c.rect(x, top, width, 178 - top, glossy(stone))
        c.polygon([(x - 5, top), (x + width + 5, top), (x + width / 2, top - 46)], glossy(roof))
        c.rect(x + width / 2 - 4, top + 14, 8, 16, _DARK, 4)
    c.rect(58, 132, 140, 52, glossy(tint(stone, 0.12)))
    for x in range(58, 198, 20):
        c.rect(x, 122, 12, 12, tint(stone, 0.12))
    c.polygon([(114, 184), (114, 160), *arc(128, 160, 14, 16, 180, 360), (142, 184)], "#5a3a24")
    for x in (76, 94, 156, 174):
        c.rect(x, 148, 7, 14, _DARK, 3)
    c.polygon([(129, 2), (152, 9), (129, 16)], "#d9433f")
    c.line([(129, 2), (129, 22)], _DARK, 2)
    c.polygon(
        smooth([(-40, 246), (60, 232), (160, 248), (300, 234), (300, 290), (-40, 290)]),
        ("#8fc6e0", "#4f8fb8"),
    )
    return c


def great_wall(stone: str, sky: Fill, hills: str) -> Canvas:
    """A wall with watch-towers that climbs over the hills."""
    c = Canvas(sky)
    c.circle(206, 50, 20, "#fff0b8")
    for top, tone in ((104, 0.4), (146, 0.18), (190, 0.0)):
        ridge = [(-40, top + 40), (40, top - 14), (110, top + 22), (190, top - 30), (300, top + 20)]
        c.polygon(smooth([*ridge, (300, 320), (-40, 320)]), glossy(tint(hills, tone)))
    path = bezier((20, 262), (120, 236), (70, 176), (126, 168)) + bezier(
        (126, 168), (190, 158), (150, 116), (196, 92)
    )
    for i, (x, y) in enumerate(path):
        half = 25 - i * 0.4
        height = 32 - i * 0.5
        c.polygon(
            [(x - half, y - 3), (x + half, y - 3), (x + half, y + height), (x - half, y + height)],
            (tint(stone, 0.1), shade(stone, 0.15)),
        )
    c.line(path, tint(stone, 0.45), 17)
    for i, (x, y) in enumerate(path[::2]):
        half, size = 21 - i * 0.65, 8 - i * 0.2
        for side in (-1, 1):
            c.rect(x + side * half - size / 2, y - size, size, size, shade(stone, 0.2 if side > 0 else 0.08))
    for x, y, size in ((60, 222, 1.3), (126, 166, 1.0), (198, 92, 0.75)):
        c.rect(x - 24 * size, y - 52 * size, 48 * size, 56 * size, glossy(stone))
        for dx in (-26, -10, 6):
            c.rect(x + dx * size, y - 60 * size, 12 * size, 10 * size, shade(stone, 0.1))
        for dx in (-13, 5):
            c.rect(x + dx * size, y - 36 * size, 9 * size, 16 * size, _DARK, 4 * size)
    return c


def lighthouse(band: str, sky: Fill, rock: str) -> Canvas:
    """A lighthouse on a rock in the surf."""
    c = Canvas(sky)
    c.rect(0, 176, 256, 80, ("#3f7fa0", "#2a5a80"))
    c.polygon([(136, 60), (256, 22), (256, 104)], "#fff3b890")
    c.polygon([(120, 60), (0, 34), (0, 92)], "#fff3b870")
    c.polygon(smooth([(30, 240), (60, 196), (128, 180), (200, 198), (236, 244), (128, 262)]), glossy(rock))
    c.polygon([(106, 84), (150, 84), (162, 196), (94, 196)], ("#ffffff", "#e4e0d6"))
    for top, low in ((104, 128), (152, 176)):
        spread = [(x, y) for y in (top, low) for x in (106 - (y - 84) * 0.107, 150 + (y - 84) * 0.107)]
        c.polygon([spread[0], spread[1], spread[3], spread[2]], glossy(band))
    c.rect(98, 78, 60, 8, _DARK, 2)
    c.rect(112, 48, 32, 30, "#ffe08a")
    c.rect(126, 48, 4, 30, _DARK)
    c.polygon([(104, 48), (152, 48), (128, 24)], glossy(band))
    c.rect(120, 180, 16, 18, "#5a3a24", 6)
    for x, y in ((-6, 206), (4, 236), (214, 208), (222, 238), (-14, 190), (206, 188)):
        c.line(bezier((x, y), (x + 14, y - 12), (x + 28, y + 8), (x + 44, y)), "#ffffffd0", 4)
    return c


def iron_tower(iron: str, sky: Fill) -> Canvas:
    """A lattice tower above a river with trees."""
    c = Canvas(sky)
    c.circle(56, 60, 20, "#fff0c8")
    for x, r in ((0, 30), (40, 24), (206, 26), (248, 32)):
        c.circle(x, 204, r, ("#8fb07a", "#5f8a5a"))
    left = bezier((124, 40), (120, 120), (106, 170), (70, 216))
    inner = bezier((128, 90), (124, 140), (116, 180), (98, 216))
    for sign in (1, -1):
        outline = left + list(reversed(inner))
        c.polygon([(128 + sign * (x - 128), y) for x, y in outline], glossy(iron))
    for (a, y), (b, _) in zip(left[8:22:2], inner[10:24:2], strict=True):
        c.line([(a, y), (b, y + 9)], tint(iron, 0.4), 1.5)
        c.line([(256 - a, y), (256 - b, y + 9)], tint(iron, 0.4), 1.5)
    c.line([(128, 44), (128, 12)], iron, 4)
    c.rect(116, 92, 24, 7, shade(iron, 0.2), 2)
    c.rect(98, 150, 60, 9, shade(iron, 0.2), 2)
    c.line(arc(128, 214, 34, 38, 190, 350), shade(iron, 0.1), 5)
    c.rect(0, 214, 256, 42, ("#6fa3c0", "#3f7090"))
    for x, y in ((20, 228), (120, 236), (190, 226)):
        c.line([(x, y), (x + 40, y)], "#ffffff80", 2.5)
    return c
