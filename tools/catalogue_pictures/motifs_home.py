"""Motifs of the home and the desk."""

from .canvas import Canvas, arc, bezier, glossy, shade, smooth, studio, tabletop, tint, turn

_DARK = "#2c2a33"


def lamp(colour: str, wall: str) -> Canvas:
    """A jointed desk lamp, switched on."""
    c = studio(wall)
    c.polygon([(150, 116), (206, 92), (256, 200), (120, 200)], "#fff3b870")
    c.shadow(84, 208, 52)
    c.ellipse(84, 204, 46, 10, glossy(shade(colour, 0.2)))
    c.line([(84, 200), (58, 128), (138, 58)], "#55555f", 7)
    for x, y in ((58, 128), (138, 58)):
        c.circle(x, y, 9, glossy(shade(colour, 0.1)))
    c.polygon(turn([(126, 48), (156, 48), (190, 112), (124, 112)], -28, (150, 76)), glossy(colour))
    c.ellipse(179, 104, 17, 10, "#fff8d8")
    return c


def armchair(fabric: str, cushion: str, wall: str) -> Canvas:
    """An armchair with a cushion."""
    c = studio(wall)
    c.shadow(128, 226, 98)
    for x in (58, 186):
        c.polygon([(x, 196), (x + 14, 196), (x + 10, 228), (x + 4, 228)], "#a9743f")
    c.rect(54, 46, 148, 150, glossy(fabric), 40)
    c.rect(70, 66, 116, 100, tint(fabric, 0.1), 26)
    for x in (100, 128, 156):
        c.circle(x, 92, 4, shade(fabric, 0.3))
    c.rect(62, 146, 132, 40, glossy(tint(fabric, 0.18)), 14)
    c.polygon(turn(smooth([(98, 104), (158, 100), (162, 152), (96, 154)]), -8), glossy(cushion))
    for x in (28, 182):
        c.rect(x, 116, 46, 90, glossy(shade(fabric, 0.12)), 20)
    c.rect(40, 182, 176, 28, glossy(shade(fabric, 0.2)), 10)
    return c


def plant(leaf: str, pot: str, wall: str) -> Canvas:
    """A potted monstera."""
    c = studio(wall)
    c.shadow(128, 214, 58)
    leaves: tuple[tuple[float, float, float, float], ...] = (
        (70, 96, 1.0, -50),
        (188, 92, 1.0, 48),
        (128, 58, 1.1, 0),
        (92, 134, 0.8, -80),
        (170, 134, 0.8, 78),
    )
    for x, y, _, _ in leaves:
        c.line(bezier((128, 170), (128, 130), (x, y + 40), (x, y)), shade(leaf, 0.2), 4)
    for i, (x, y, size, angle) in enumerate(leaves):
        tone = shade(leaf, 0.12) if i % 2 else leaf
        outline = [(0, -44), (26, -30), (38, 0), (26, 28), (0, 38), (-26, 28), (-38, 0), (-26, -30)]
        heart = [(x + dx * size, y + dy * size) for dx, dy in outline]
        c.polygon(turn(smooth(heart), angle, (x, y)), glossy(tone))
        c.line(turn([(x, y - 38 * size), (x, y + 34 * size)], angle, (x, y)), tint(tone, 0.4), 2)
        for side in (-1, 1):
            for dy in (-14, 6):
                slit = [(x + side * 14 * size, y + dy * size), (x + side * 40 * size, y + (dy - 10) * size)]
                c.line(turn(slit, angle, (x, y)), tint(wall, 0.45), 5)
    c.polygon([(86, 158), (170, 158), (158, 214), (98, 214)], glossy(pot))
    c.rect(80, 150, 96, 20, glossy(tint(pot, 0.1)), 4)
    return c


def book(cover: str, emblem: str, wall: str, sign: str) -> Canvas:
    """A standing book whose cover shows a sign: "torii", "light", "bread" or "moon"."""
    c = studio(wall)
    c.shadow(132, 222, 80)
    c.polygon([(62, 34), (200, 34), (208, 42), (208, 220), (62, 220)], ("#f8f2e2", "#e0d6bf"))
    c.rect(52, 30, 146, 190, glossy(cover), 5)
    c.rect(52, 30, 16, 190, shade(cover, 0.25), 4)
    c.rect(84, 46, 98, 8, tint(cover, 0.6), 3)
    c.rect(98, 60, 70, 6, tint(cover, 0.45), 3)
    if sign == "torii":
        c.circle(133, 128, 42, tint(emblem, 0.75))
        _torii(c, 133, 112, 1.0, emblem)
    elif sign == "light":
        c.polygon([(122, 108), (144, 108), (152, 188), (114, 188)], glossy("#f4efe2"))
        for y in (124, 152):
            c.polygon([(119, y), (147, y), (149, y + 14), (117, y + 14)], emblem)
        c.rect(122, 92, 22, 16, "#ffe08a")
        c.polygon([(118, 92), (148, 92), (133, 78)], emblem)
        c.polygon([(144, 96), (194, 78), (194, 120)], "#ffe08a80")
        c.line(bezier((72, 192), (104, 178), (150, 206), (194, 188)), "#ffffff", 5)
    elif sign == "bread":
        c.polygon(
            smooth([(80, 166), (92, 118), (133, 100), (174, 118), (188, 166), (166, 180), (100, 180)]),
            glossy(emblem),
        )
        for x in (104, 128, 152):
            c.line([(x, 160), (x + 14, 126)], tint(emblem, 0.6), 6)
    else:
        moon = arc(133, 132, 44, 44, 20, 200) + arc(141, 120, 44, 36, 190, 30)
        c.polygon(moon, emblem)
        for x, y, r in ((100, 98, 4), (164, 92, 3), (176, 118, 4), (146, 106, 3)):
            c.circle(x, y, r, "#fff8d8")
        c.polygon(smooth([(112, 150), (128, 138), (148, 144), (154, 160), (132, 168)]), "#e8833a")
        c.polygon([(118, 142), (122, 126), (130, 140)], "#e8833a")
    c.rect(104, 200, 58, 6, tint(cover, 0.45), 3)
    return c


def _torii(c: Canvas, x: float, y: float, size: float, colour: str) -> None:
    for side in (-1, 1):
        c.line([(x + side * 22 * size, y), (x + side * 26 * size, y + 56 * size)], colour, 7 * size)
    c.line(
        bezier((x - 42 * size, y - 8), (x - 16 * size, y), (x + 16 * size, y), (x + 42 * size, y - 8)),
        colour,
        9 * size,
    )
    c.line([(x - 30 * size, y + 16 * size), (x + 30 * size, y + 16 * size)], colour, 6 * size)


def laptop(shell: str, wall: str, screen: str, content: str) -> Canvas:
    """An open laptop showing "code", a "page", a "chart" or a desktop "picture"."""
    c = studio(wall)
    c.shadow(128, 210, 116)
    c.rect(42, 50, 172, 126, glossy(shell), 9)
    c.rect(50, 58, 156, 108, screen, 3)
    if content == "code":
        rows = (
            (0, 34, "#f28ab2"),
            (12, 60, "#8fd0ff"),
            (12, 44, "#f2c94e"),
            (24, 70, "#a6e07a"),
            (24, 36, "#8fd0ff"),
            (12, 52, "#f28ab2"),
            (0, 26, "#a6e07a"),
        )
        for i, (indent, width, colour) in enumerate(rows):
            c.rect(62 + indent, 68 + i * 13, width, 6, colour, 3)
            c.rect(68 + indent + width, 68 + i * 13, 20, 6, "#ffffff60", 3)
    elif content == "page":
        c.rect(50, 58, 156, 16, "#e8833a")
        for x in (58, 66, 74):
            c.circle(x, 66, 2.5, "#ffffff")
        c.rect(60, 82, 62, 40, ("#8fd3ee", "#5fa08a"), 3)
        for i in range(4):
            c.rect(132, 84 + i * 10, 62 - i * 8, 5, "#9a9aa4", 2)
        for x in (60, 110, 160):
            c.rect(x, 132, 36, 24, "#d9dde6", 3)
    elif content == "chart":
        for i, height in enumerate((24, 40, 32, 56, 70)):
            c.rect(66 + i * 27, 156 - height, 17, height, ("#5fd0c0", "#2f8f9a"), 2)
        c.line([(74, 122), (101, 104), (128, 110), (155, 86), (184, 72)], "#f2c94e", 4)
    else:
        c.rect(50, 58, 156, 108, ("#5a6ab8", "#f4a98a"), 3)
        c.circle(150, 112, 18, "#fff0c0")
        c.polygon(
            [(50, 166), (50, 140), (92, 100), (128, 140), (158, 116), (206, 156), (206, 166)], "#3a4a7a"
        )
    c.polygon([(42, 176), (214, 176), (240, 204), (16, 204)], (shade(shell, 0.05), tint(shell, 0.2)))
    c.polygon([(56, 180), (200, 180), (214, 192), (42, 192)], shade(shell, 0.45))
    c.polygon([(106, 195), (150, 195), (154, 202), (102, 202)], shade(shell, 0.2))
    c.rect(16, 203, 224, 6, shade(shell, 0.25), 3)
    return c


def brush(paper: str, wood: str) -> Canvas:
    """Brush writing: the character for "forever" on a sheet, with brush and ink stone."""
    c = tabletop(wood)
    c.shadow(112, 138, 84, 104)
    c.rect(28, 22, 152, 212, (tint(paper, 0.4), paper), 2)
    c.rect(28, 22, 152, 10, "#a8482f")
    c.rect(28, 224, 152, 10, "#a8482f")
    ink = "#1c1a22"
    c.polygon(smooth([(94, 54), (112, 60), (118, 74), (106, 74)]), ink)
    c.line([(82, 94), (108, 90), (108, 184), (92, 174)], ink, 10)
    c.line(bezier((58, 122), (84, 120), (84, 140), (50, 180)), ink, 8)
    c.line([(58, 122), (86, 118)], ink, 8)
    c.line(bezier((146, 100), (136, 114), (124, 122), (114, 126)), ink, 8)
    c.line(bezier((114, 124), (124, 150), (142, 172), (162, 182)), ink, 10)
    c.rect(148, 198, 20, 20, "#c9352b", 2)
    c.rect(192, 150, 54, 72, ("#4a4a55", "#2c2a33"), 10)
    c.ellipse(219, 180, 19, 22, "#15151c")
    c.line([(232, 26), (204, 112)], glossy("#c98a4a"), 9)
    tip = smooth([(195, 112), (211, 112), (210, 130), (203, 150), (196, 130)])
    c.polygon(turn(tip, 18, (203, 112)), ("#f4efe2", ink))
    return c


def speech(question: str, answer: str, wall: str, kana: bool) -> Canvas:
    """Two speech bubbles: a kana or an accented letter answers a plain "A"."""
    c = studio(wall)
    c.shadow(128, 222, 92)
    c.rect(20, 36, 132, 104, glossy(question), 26)
    c.polygon([(44, 130), (84, 130), (38, 170)], shade(question, 0.12))
    c.line([(62, 118), (86, 58), (110, 118)], "#ffffff", 9)
    c.line([(71, 98), (101, 98)], "#ffffff", 8)
    c.rect(104, 104, 132, 104, glossy(answer), 26)
    c.polygon([(176, 198), (214, 198), (220, 232)], shade(answer, 0.12))
    if kana:
        c.line(bezier((140, 132), (158, 134), (180, 132), (198, 128)), "#ffffff", 7)
        c.line(bezier((164, 118), (162, 150), (164, 176), (172, 190)), "#ffffff", 7)
        loop = bezier((186, 144), (178, 176), (152, 196), (144, 180)) + bezier(
            (144, 180), (138, 156), (206, 140), (206, 168)
        )
        c.line(loop + bezier((206, 168), (206, 184), (194, 190), (184, 192)), "#ffffff", 7)
    else:
        c.line(
            bezier((150, 166), (190, 168), (190, 140), (170, 140))
            + bezier((170, 140), (140, 142), (144, 196), (192, 184)),
            "#ffffff",
            9,
        )
        c.line([(168, 130), (184, 118)], "#ffffff", 8)
    return c


def cap(cloth: str, tassel: str, wall: str) -> Canvas:
    """A graduation cap on a stack of books."""
    c = studio(wall)
    c.shadow(128, 216, 92)
    for x, y, width, colour in ((46, 190, 164, "#c9564a"), (56, 166, 148, "#3f8f8a")):
        c.rect(x, y, width, 24, glossy(colour), 4)
        c.rect(x + 14, y + 5, width - 14, 14, "#f4efe2", 3)
    c.polygon([(82, 102), (174, 102), (170, 152), (128, 164), (86, 152)], glossy(shade(cloth, 0.2)))
    c.polygon([(128, 48), (232, 92), (128, 136), (24, 92)], glossy(cloth))
    c.line([(128, 92), (206, 108), (208, 152)], tassel, 4)
    c.polygon([(202, 150), (214, 150), (220, 182), (196, 182)], tassel)
    c.ellipse(128, 92, 7, 4, tassel)
    return c
