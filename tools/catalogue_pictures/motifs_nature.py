"""Motifs of landscapes: mountains, snow, the sea and the sky."""

import itertools

from .canvas import Canvas, Fill, arc, bezier, glossy, mix, shade, smooth, tint, turn

DAY = ("#6fb8e6", "#d9f0f7")
DUSK = ("#5a4f96", "#f4a98a")
DAWN = ("#7f9fd6", "#fbd9a8")
NIGHT = ("#101a3e", "#34508a")


def pine(c: Canvas, x: float, y: float, size: float, snow: bool = False) -> None:
    """A fir tree that stands at (x, y)."""
    c.rect(x - 3 * size, y - 6 * size, 6 * size, 8 * size, "#6b4a30")
    for i in range(3):
        half, low = (20 - 4 * i) * size, y - (4 + 16 * i) * size
        c.polygon([(x - half, low), (x + half, low), (x, low - 28 * size)], glossy("#2f6650"))
        if snow:
            c.polygon(
                [(x - half * 0.5, low - 14 * size), (x + half * 0.4, low - 16 * size), (x, low - 28 * size)],
                "#ffffff",
            )


def _peak(c: Canvas, x: float, top: float, half: float, base: float, rock: str, snow: str) -> None:
    left, right = (x - half, base), (x + half, base)
    c.polygon([left, (x, top), right], glossy(rock))
    c.polygon(
        [(x, top), right, (x + half * 0.15, base), (x - half * 0.08, top + (base - top) * 0.4)],
        shade(rock, 0.3) + "b0",
    )
    reach = (base - top) * 0.34
    edge = half * 0.34
    c.polygon(
        [
            (x, top),
            (x + edge, top + reach),
            (x + edge * 0.4, top + reach * 0.75),
            (x, top + reach * 1.2),
            (x - edge * 0.5, top + reach * 0.7),
            (x - edge, top + reach),
        ],
        snow,
    )


def mountains(
    rock: str, snow: str, sky: Fill, ground: str, water: str | None = None, flags: bool = False
) -> Canvas:
    """High peaks over a valley, perhaps with a lake or with prayer flags."""
    c = Canvas(sky)
    c.glow(64, 60, 34, "#fff4cf90")
    c.circle(64, 60, 17, "#fff4cf")
    _peak(c, 58, 104, 84, 190, tint(rock, 0.25), snow)
    _peak(c, 214, 82, 90, 190, tint(rock, 0.15), snow)
    _peak(c, 134, 44, 96, 194, rock, snow)
    c.polygon(
        smooth([(-40, 196), (50, 176), (140, 188), (220, 172), (300, 190), (300, 300), (-40, 300)]),
        glossy(ground),
    )
    if water is not None:
        c.polygon(
            smooth([(20, 216), (90, 200), (190, 204), (244, 220), (180, 244), (70, 242)]),
            (tint(water, 0.35), water),
        )
        c.line([(80, 216), (130, 216)], "#ffffffa0", 2)
        c.line([(130, 228), (186, 228)], "#ffffffa0", 2)
    for tree in ((18, 214, 1.1), (44, 206, 0.8), (236, 208, 1.1), (212, 202, 0.7)):
        pine(c, *tree)
    if flags:
        rope = bezier((-4, 96), (80, 170), (170, 170), (260, 84))
        c.line(rope, "#55402f", 1.5)
        for i, (x, y) in enumerate(rope[1:-1:2]):
            colour = ("#2f6fc0", "#ffffff", "#d9433f", "#3f9a5a", "#f2c94e")[i % 5]
            c.polygon([(x - 8, y), (x + 8, y), (x + 8, y + 17), (x - 8, y + 17)], colour)
    return c


def volcano(sky: Fill, slope: str, blossom: str) -> Canvas:
    """A lone snow-capped cone at sunrise, mirrored in a lake, under a flowering branch."""
    c = Canvas(sky)
    c.glow(128, 92, 62, "#fff0c0a0")
    c.circle(128, 92, 42, "#ffdf9a")
    left = bezier((108, 72), (92, 116), (56, 152), (-10, 182))
    c.polygon(left + [(256 - x, y) for x, y in reversed(left)], glossy(slope))
    cap = bezier((108, 72), (102, 90), (92, 104), (84, 116))
    c.polygon(
        [
            *cap,
            (100, 108),
            (112, 124),
            (126, 108),
            (142, 126),
            (154, 108),
            *((256 - x, y) for x, y in reversed(cap)),
        ],
        "#ffffff",
    )
    c.rect(0, 180, 256, 76, (mix(slope, "#ffffff", 0.45), slope))
    c.polygon([(40, 180), (216, 180), (146, 226), (110, 226)], tint(slope, 0.2) + "90")
    for x, y, length in ((30, 202, 40), (150, 214, 60), (84, 236, 50)):
        c.line([(x, y), (x + length, y)], "#ffffff70", 2.5)
    c.line(bezier((-4, 30), (40, 24), (80, 44), (120, 30)), "#4a3028", 5)
    c.line(bezier((50, 30), (70, 16), (90, 12), (110, 4)), "#4a3028", 3)
    for x, y in ((24, 26), (48, 38), (66, 22), (84, 42), (96, 10), (112, 34), (40, 14), (74, 56)):
        for petal in arc(x, y, 6, 6, 0, 300)[::15]:
            c.circle(*petal, 5, blossom)
        c.circle(x, y, 3, "#f2c94e")
    return c


def piste(
    sky: Fill, jacket: str, helmet: str, lift: bool = True, frost: bool = False, small: bool = False
) -> Canvas:
    """A skier on a slope; with a chairlift, or among frosted trees; a child or a grown-up."""
    c = Canvas(sky)
    _peak(c, 66, 52, 100, 190, "#7f95b8", "#ffffff")
    _peak(c, 196, 76, 90, 190, "#93a8c8", "#ffffff")
    c.polygon([(-10, 124), (270, 214), (270, 270), (-10, 270)], ("#ffffff", "#d6e3f2"))
    c.line(bezier((-8, 150), (60, 160), (60, 200), (112, 206)), "#b9cce2", 4)
    if lift:
        c.line([(0, 30), (256, 98)], "#4a4a55", 2)
        for x in (52, 204):
            y = 30 + x * 68 / 256
            c.line([(x, y), (x, y + 22)], "#4a4a55", 2.5)
            c.rect(x - 13, y + 20, 26, 9, "#d9433f", 3)
            c.rect(x - 13, y + 10, 5, 16, "#d9433f", 2)
    for x, y, size in ((28, 150, 1.0), (222, 206, 1.2), (246, 216, 0.9)):
        if frost:
            for i, angle in enumerate((-60, -30, 0, 30, 60)):
                c.line(turn([(x, y - 24), (x, y - 62 + abs(i - 2) * 8)], angle, (x, y - 24)), "#ffffff", 6)
            c.line([(x, y), (x, y - 30)], "#6b5a50", 5)
        else:
            pine(c, x, y, size, snow=True)
    size, x0, y0 = (0.8, 128, 196) if small else (1.15, 128, 192)

    def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x0 + x * size, y0 + y * size) for x, y in points]

    c.line(at((-52, -6), (46, 26), (56, 24)), "#2c2a33", 5)
    c.line(at((-44, -16), (54, 16), (64, 14)), "#d9433f", 5)
    c.line(at((-2, -46), (16, -24), (4, 4)), "#2f3a5a", 15 * size)
    c.line(at((-6, -48), (8, -90)), jacket, 24 * size)
    c.line(at((8, -84), (34, -64), (50, -72)), shade(jacket, 0.2), 10 * size)
    c.line(at((50, -72), (16, -10)), "#55555f", 3)
    c.circle(*at((18, -110))[0], 15 * size, glossy(helmet))
    c.rect(*at((20, -114))[0], 14 * size, 8 * size, "#ffb347", 3)
    for x, y in ((-60, -2), (-74, -16), (-84, 4), (-70, 14)):
        c.circle(*at((x, y))[0], 6 * size, "#ffffff")
    return c


def beach(sky: Fill, sea: str, sand: str, scene: str, colour: str = "#d9433f") -> Canvas:
    """A shore with a "parasol", "palms", "huts" over the water, or a "dhow" under sail."""
    c = Canvas(sky)
    c.glow(196, 54, 34, "#fff4cf90")
    c.circle(196, 54, 18, "#fff0b8")
    c.rect(0, 108, 256, 90, (shade(sea, 0.15), tint(sea, 0.35)))
    for x, y in ((20, 124), (150, 132), (84, 146), (206, 156)):
        c.line(bezier((x, y), (x + 10, y - 4), (x + 22, y + 4), (x + 34, y)), "#ffffffb0", 2.5)
    c.polygon(
        smooth([(-40, 190), (50, 168), (140, 192), (220, 176), (300, 190), (300, 300), (-40, 300)]),
        "#ffffffc0",
    )
    c.polygon(
        smooth([(-40, 198), (50, 176), (140, 200), (220, 184), (300, 198), (300, 300), (-40, 300)]),
        glossy(sand),
    )
    if scene == "parasol":
        c.shadow(128, 228, 80)
        c.line([(110, 92), (122, 228)], "#f4efe2", 5)
        ribs = (34, 72, 110, 148, 186)
        for i, (left, right) in enumerate(itertools.pairwise(ribs)):
            wedge = bezier((left, 112), (left + 6, 82), (110, 58), (110, 56)) + bezier(
                (110, 56), (110, 58), (right - 6, 82), (right, 112)
            )
            c.polygon(turn(wedge, -6, (110, 110)), colour if i % 2 == 0 else "#ffffff")
        c.polygon([(136, 214), (200, 196), (236, 206), (176, 230)], glossy("#3f8fb8"))
        c.circle(70, 222, 15, glossy("#f2c94e"))
        c.polygon(arc(70, 222, 15, 15, -60, 60), "#d9433f")
    elif scene == "palms":
        for x, y, lean, size in ((60, 222, 40, 1.1), (206, 214, -30, 0.85)):
            _palm(c, x, y, lean, size)
        c.circle(120, 222, 9, glossy("#8a5a34"))
        c.polygon(smooth([(138, 232), (150, 214), (162, 232)]), glossy(colour))
    elif scene == "huts":
        for x, y, size in ((70, 150, 1.15), (150, 134, 0.85), (214, 124, 0.6)):
            for dx in (-22, 0, 22):
                c.rect(x + dx * size - 2, y, 4, 26 * size, "#6b4a30")
            c.rect(x - 30 * size, y - 4, 60 * size, 7, "#8a5a34")
            c.rect(x - 24 * size, y - 30 * size, 48 * size, 27 * size, ("#e8c99a", "#c99a5f"))
            c.rect(x - 7 * size, y - 24 * size, 14 * size, 20 * size, "#5a3a24")
            c.polygon(
                [(x - 36 * size, y - 28 * size), (x, y - 62 * size), (x + 36 * size, y - 28 * size)],
                glossy(colour),
            )
        c.line(bezier((98, 152), (120, 156), (130, 190), (150, 214)), "#8a5a34", 7)
        _palm(c, 216, 226, -24, 0.9)
    else:
        c.polygon([(84, 146), (186, 140), (168, 162), (102, 164)], glossy("#6b4a30"))
        c.line([(132, 146), (132, 56)], "#3a2a24", 4)
        c.polygon(
            [(134, 44), (134, 138), *bezier((196, 130), (190, 100), (164, 66), (134, 44))],
            ("#ffffff", "#e8dcc0"),
        )
        _palm(c, 40, 226, 30, 1.0)
    return c


def _palm(c: Canvas, x: float, y: float, lean: float, size: float) -> None:
    top = (x + lean * size, y - 126 * size)
    c.line(
        bezier((x, y), (x, y - 50 * size), (top[0] - lean * 0.4, y - 96 * size), top),
        ("#a9743f", "#6b4a30"),
        9 * size,
    )
    for angle in (-150, -110, -60, -20, 20, 160, 200):
        tip = arc(*top, 56 * size, 46 * size, angle, angle + 1)[0]
        droop = (tip[0], tip[1] + 22 * size)
        bow = bezier(top, (top[0], top[1] - 12 * size), tip, droop)
        back = bezier(droop, ((tip[0] + top[0]) / 2, tip[1] + 10 * size), top, top)
        c.polygon(bow + back, glossy("#3f9a5a" if angle % 20 else "#2f8050"))
    for dx in (-6, 6):
        c.circle(top[0] + dx * size, top[1] + 6 * size, 6 * size, "#6b4a30")


def aurora(lights: str, hut: str | None = None) -> Canvas:
    """Northern lights over a frozen shore, perhaps with a wooden hut on stilts."""
    c = Canvas(NIGHT)
    for i in range(30):
        c.circle((i * 67) % 256, (i * 41) % 120, 1.2, "#ffffffc0")
    for shift, height in ((0, 84), (46, 64)):
        crest = bezier((-10, 108 - shift), (60, 40 - shift / 2), (150, 150 - shift), (270, 50))
        for x, y in crest:
            c.rect(x - 7, y - height, 15, height, (lights + "00", lights + "80"), 7)
    _peak(c, 60, 112, 86, 196, "#3a4a78", "#dfe9f5")
    _peak(c, 196, 98, 96, 196, "#2f3f6a", "#dfe9f5")
    c.rect(0, 190, 256, 66, ("#3f6a8a", "#1a2a4e"))
    for x, y, size in ((40, 226, 24), (108, 240, 30), (190, 232, 34), (232, 210, 16), (84, 206, 12)):
        c.polygon(
            [
                (x - size, y),
                (x - size * 0.3, y - size * 0.5),
                (x + size * 0.5, y - size * 0.35),
                (x + size, y + 4),
                (x, y + size * 0.3),
            ],
            ("#eaf6fb", "#8fc6e0"),
        )
    if hut is not None:
        for x in (112, 138, 164):
            c.rect(x, 196, 5, 30, "#3a2a24")
        c.rect(100, 154, 80, 44, glossy(hut))
        c.polygon([(90, 158), (140, 122), (190, 158)], "#eef3f8")
        for x in (112, 148):
            c.rect(x, 168, 18, 16, "#ffe08a", 2)
    return c


def sailboat(sail: str, hull: str, sky: Fill, sea: str) -> Canvas:
    """A sailing boat off a hilly coast."""
    c = Canvas(sky)
    c.polygon(
        smooth([(-40, 150), (40, 112), (110, 140), (180, 118), (300, 150), (300, 190), (-40, 190)]), "#8fae8a"
    )
    for x, y in ((196, 138), (214, 134), (230, 140)):
        c.rect(x, y, 13, 12, "#fbeccb")
        c.polygon([(x - 2, y), (x + 15, y), (x + 6, y - 8)], "#d9643f")
    c.rect(0, 150, 256, 106, (tint(sea, 0.2), shade(sea, 0.15)))
    c.line([(124, 20), (124, 196)], "#6b4a30", 5)
    c.polygon(
        [(130, 26), *bezier((130, 26), (176, 80), (204, 140), (206, 176))[1:], (130, 180)],
        ("#ffffff", "#e8e2d4"),
    )
    c.polygon([(118, 44), *bezier((118, 44), (90, 90), (66, 140), (56, 172))[1:], (118, 178)], glossy(sail))
    c.polygon(smooth([(40, 192), (128, 198), (222, 190), (198, 220), (70, 220)]), glossy(hull))
    c.line([(52, 200), (208, 199)], "#ffffff", 3)
    for y, shift in ((216, 0), (234, 30), (172, 14)):
        for x in range(-30 + shift, 256, 68):
            if y > 200 or x < 20 or x > 206:
                c.line(bezier((x, y), (x + 16, y - 8), (x + 30, y + 6), (x + 46, y)), "#ffffffa0", 4)
    return c
