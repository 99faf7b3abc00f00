"""Motifs of outings and ways to get there."""

from .canvas import Canvas, Fill, arc, bezier, glossy, shade, smooth, tint

_DARK = "#2c2a33"


def big_wheel(rim: str, sky: Fill, cabins: tuple[str, ...]) -> Canvas:
    """A big wheel and a striped tent at a fair."""
    c = Canvas(sky)
    c.rect(0, 214, 256, 42, ("#7fae6a", "#5f8f55"))
    c.shadow(128, 228, 80)
    for foot in (84, 172):
        c.line([(128, 112), (foot, 230)], shade(rim, 0.3), 8)
    spokes = arc(128, 112, 84, 84, 0, 360)[:-1]
    for x, y in spokes[::9]:
        c.line([(128, 112), (x, y)], tint(rim, 0.3), 2)
    for radius, width in ((84, 6), (70, 2.5)):
        c.line(arc(128, 112, radius, radius), rim, width)
    for x, y in spokes[4::9]:
        c.circle(x, y, 3.5, "#fff3b8")
    for i, (x, y) in enumerate(spokes[::9]):
        colour = cabins[i % len(cabins)]
        c.rect(x - 12, y - 2, 24, 20, glossy(colour), 8)
        c.rect(x - 8, y + 2, 16, 7, "#ffffffc0", 2)
    c.circle(128, 112, 13, glossy(rim))
    for i in range(4):
        left = 6 + i * 16
        c.rect(left, 196, 16, 36, cabins[0] if i % 2 else "#ffffff")
        c.polygon([(left, 197), (left + 16, 197), (38, 166)], cabins[0] if i % 2 else "#f4efe2")
    return c


def balloons(colours: tuple[tuple[str, str], ...], sky: Fill, rock: str) -> Canvas:
    """Hot-air balloons over rock chimneys, the first one near."""
    c = Canvas(sky)
    c.polygon(smooth([(-40, 216), (50, 190), (150, 204), (300, 186), (300, 300), (-40, 300)]), glossy(rock))
    for x, y, size in ((26, 236, 1.1), (60, 244, 0.8), (206, 232, 1.3), (240, 242, 0.9), (172, 246, 0.7)):
        c.polygon(
            smooth(
                [
                    (x - 15 * size, y + 20),
                    (x - 9 * size, y - 34 * size),
                    (x, y - 54 * size),
                    (x + 9 * size, y - 34 * size),
                    (x + 15 * size, y + 20),
                ]
            ),
            glossy(tint(rock, 0.2)),
        )
        c.polygon(
            smooth(
                [
                    (x - 12 * size, y - 38 * size),
                    (x, y - 64 * size),
                    (x + 12 * size, y - 38 * size),
                    (x, y - 34 * size),
                ]
            ),
            shade(rock, 0.25),
        )
    for (even, odd), (x, y, r) in zip(
        colours, ((118, 86, 66), (216, 66, 24), (30, 64, 18), (204, 142, 14)), strict=False
    ):
        for i, share in enumerate((1.0, 0.66, 0.3)):
            half = r * share
            side = bezier(
                (x - half, y),
                (x - half, y + r * 0.7),
                (x - r * 0.2 * share, y + r),
                (x - r * 0.18 * share, y + r * 1.12),
            )
            top = arc(x, y, half, r, 180, 360)
            c.polygon(
                top + [(2 * x - px, py) for px, py in side] + list(reversed(side)),
                glossy(even if i % 2 == 0 else odd),
            )
        c.line([(x - r * 0.16, y + r * 1.1), (x - r * 0.12, y + r * 1.4)], _DARK, 1.2)
        c.line([(x + r * 0.16, y + r * 1.1), (x + r * 0.12, y + r * 1.4)], _DARK, 1.2)
        c.rect(x - r * 0.15, y + r * 1.36, r * 0.3, r * 0.22, glossy("#8a5a34"), r * 0.05)
    return c


def train(body: str, stripe: str, sky: Fill, ground: str, peaks: bool) -> Canvas:
    """An express train in the country, or on a viaduct below snowy peaks."""
    c = Canvas(sky)
    if peaks:
        for x, top, half in ((60, 44, 100), (186, 26, 116)):
            c.polygon([(x - half, 200), (x, top), (x + half, 200)], glossy("#7f95b8"))
            c.polygon(
                [
                    (x - half * 0.3, top + 46),
                    (x, top),
                    (x + half * 0.3, top + 46),
                    (x + 8, top + 36),
                    (x - 6, top + 56),
                ],
                "#ffffff",
            )
    else:
        c.circle(58, 54, 20, "#fff0b8")
        c.polygon(
            smooth([(-40, 170), (40, 110), (130, 140), (220, 104), (300, 150), (300, 220), (-40, 220)]),
            tint(ground, 0.3),
        )
    c.polygon(smooth([(-40, 196), (60, 178), (200, 186), (300, 172), (300, 300), (-40, 300)]), glossy(ground))
    if peaks:
        c.rect(0, 196, 256, 60, ("#c9bda8", "#a89a84"))
        for x in (10, 74, 138, 202):
            c.polygon(
                [(x, 256), (x, 232), *arc(x + 22, 232, 22, 24, 180, 360), (x + 44, 256)], shade(ground, 0.2)
            )
    else:
        for x in range(0, 256, 22):
            c.rect(x, 208, 12, 8, "#6b4a30")
    c.rect(0, 200, 256, 6, "#55555f")
    c.polygon(
        [
            (-10, 118),
            (150, 118),
            *bezier((150, 118), (206, 120), (240, 160), (246, 186)),
            (240, 198),
            (-10, 198),
        ],
        glossy(body),
    )
    c.polygon([(-10, 168), (236, 168), (243, 180), (-10, 180)], stripe)
    for x in (6, 46, 86, 126):
        c.rect(x, 132, 30, 24, ("#2c3a56", "#5a7aa8"), 5)
    c.polygon(
        [(172, 132), *bezier((172, 132), (198, 136), (214, 148), (222, 160)), (172, 160)],
        ("#2c3a56", "#5a7aa8"),
    )
    for x in (24, 60, 118, 154, 206):
        c.circle(x, 198, 9, _DARK)
    c.circle(232, 176, 5, "#fff3b8")
    return c


def tram(body: str, sky: Fill, tiles: str) -> Canvas:
    """A little tram in a tiled street."""
    c = Canvas(sky)
    for x, width, top, paint in ((0, 74, 30, "#f4d8b0"), (182, 74, 18, "#f0b8a8")):
        c.rect(x, top, width, 190, glossy(paint))
        for wy in (top + 20, top + 70):
            for wx in (x + 12, x + 44):
                c.rect(wx, wy, 18, 30, ("#5a7aa8", "#8fb0d0"), 3)
        for tx in range(x, x + width, 12):
            for ty in (172, 184, 196):
                c.rect(tx, ty, 11, 11, tiles if (tx + ty) // 12 % 2 else tint(tiles, 0.6))
    c.rect(0, 208, 256, 48, ("#a89a94", "#857a78"))
    for a, b in ((100, 70), (156, 186)):
        c.line([(a, 208), (b, 256)], "#55555f", 3)
    c.line([(0, 22), (256, 10)], _DARK, 1.5)
    c.line([(128, 56), (140, 17)], _DARK, 3)
    c.shadow(128, 228, 64)
    c.rect(62, 58, 132, 20, ("#ffffff", "#e4ded0"), 9)
    c.rect(68, 72, 120, 150, glossy(body), 12)
    c.rect(68, 72, 120, 74, ("#fffbe8", "#f0e6c8"), 10)
    for x in (76, 112, 148):
        c.rect(x, 84, 32, 52, ("#3f5a80", "#7fa3c8"), 4)
    c.rect(104, 62, 48, 14, _DARK, 3)
    for x in (112, 122, 132):
        c.rect(x, 66, 6, 6, "#ffd75a")
    c.circle(128, 182, 15, "#fff3b8")
    c.circle(128, 182, 10, "#ffffff")
    c.rect(76, 208, 104, 16, _DARK, 5)
    return c


def tea_hills(leaf: str, sky: Fill, hat: str) -> Canvas:
    """Terraced tea hills with a picker in a straw hat."""
    c = Canvas(sky)
    c.circle(60, 54, 19, "#fff0c0")
    c.polygon(
        smooth([(-40, 140), (60, 70), (130, 112), (210, 64), (300, 120), (300, 300), (-40, 300)]),
        tint(leaf, 0.5),
    )
    c.polygon(
        smooth([(-40, 176), (50, 120), (150, 140), (300, 110), (300, 300), (-40, 300)]),
        glossy(tint(leaf, 0.12)),
    )
    for i in range(8):
        y = 142 + i * 17
        row = bezier((-20, y + 26), (60, y - 26), (160, y + 20), (276, y - 24))
        c.line(row, shade(leaf, 0.3), 12)
        c.line([(x, yy - 4) for x, yy in row], tint(leaf, 0.1 + 0.03 * i), 8)
    c.polygon(smooth([(134, 240), (140, 176), (164, 160), (190, 178), (198, 240)]), glossy("#3f6fb0"))
    c.line([(146, 188), (112, 206)], "#3f6fb0", 13)
    c.circle(110, 207, 6, "#f0c8a0")
    c.circle(164, 150, 15, "#f0c8a0")
    c.polygon([(126, 150), (202, 150), (164, 118)], glossy(hat))
    c.polygon([(178, 190), (222, 190), (214, 236), (186, 236)], glossy("#b9813f"))
    for x, y in ((186, 188), (200, 184), (212, 188)):
        c.ellipse(x, y, 9, 6, leaf)
    for y in (204, 220):
        c.line([(182, y), (219, y)], "#8a5a2a", 2)
    return c
