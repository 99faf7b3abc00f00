"""Motifs of games and of children's things."""

from .canvas import Canvas, Point, arc, glossy, shade, studio, tabletop, tint

_DARK = "#2c2a33"


def chess(light: str, dark: str, wall: str) -> Canvas:
    """A king and a pawn on a chess board."""
    c = studio(wall)
    for row in range(3):
        y, reach = 192 + row * 22, 96 + row * 30
        for i in range(6):
            left, right = 128 - reach + i * reach / 3, 128 - reach + (i + 1) * reach / 3
            grow = 1 + 30 / reach
            low = [128 + (right - 128) * grow, 128 + (left - 128) * grow]
            tone = light if (row + i) % 2 else dark
            c.polygon([(left, y), (right, y), (low[0], y + 22), (low[1], y + 22)], tint(tone, 0.1))
    c.shadow(104, 224, 44)
    c.shadow(184, 232, 34)
    king: list[Point] = [(70, 222), (72, 206), (90, 196), (94, 130), (84, 112), (84, 98), (104, 98)]
    c.polygon(king + [(208 - x, y) for x, y in reversed(king)], glossy(dark))
    c.polygon([(82, 98), (76, 66), (104, 78), (132, 66), (126, 98)], glossy(tint(dark, 0.1)))
    c.rect(99, 38, 10, 36, glossy(dark), 2)
    c.rect(90, 46, 28, 9, glossy(dark), 2)
    c.line([(96, 198), (100, 132)], tint(dark, 0.4), 4)
    pawn: list[Point] = [(156, 230), (158, 218), (170, 210), (174, 172), (166, 164), (184, 160)]
    c.polygon(pawn + [(368 - x, y) for x, y in reversed(pawn)], glossy(light))
    c.circle(184, 148, 19, glossy(light))
    return c


def go_board(wood: str, table: str) -> Canvas:
    """A go board in the middle of a game, seen from above."""
    c = tabletop(table)
    c.shadow(134, 138, 108, 106)
    c.rect(22, 22, 212, 212, glossy(wood), 6)
    for i in range(9):
        at = 40 + i * 22
        c.line([(40, at), (216, at)], shade(wood, 0.55), 1.2)
        c.line([(at, 40), (at, 216)], shade(wood, 0.55), 1.2)
    black, white = (
        ((2, 2), (3, 2), (6, 2), (2, 5), (4, 4), (6, 5), (5, 6)),
        ((2, 3), (3, 3), (5, 2), (6, 6), (4, 5), (3, 6)),
    )
    for stones, fill in ((black, ("#4a4a55", "#0f0f14")), (white, ("#ffffff", "#d8d4ca"))):
        for column, row in stones:
            x, y = 40 + column * 22, 40 + row * 22
            c.circle(x + 1, y + 3, 10.5, "#16142e50")
            c.circle(x, y, 10.5, fill)
    return c


def pram(colour: str, frame: str, wall: str) -> Canvas:
    """A pram."""
    c = studio(wall)
    c.shadow(128, 224, 92)
    c.line([(70, 198), (176, 146)], frame, 6)
    c.line([(186, 198), (82, 146)], frame, 6)
    c.line([(196, 132), (222, 88), (238, 84)], frame, 8)
    c.polygon(arc(122, 118, 84, 54, 0, 180), glossy(colour))
    c.polygon([(122, 114), *arc(122, 114, 84, 84, 180, 282)], glossy(shade(colour, 0.15)))
    for angle in (212, 246):
        c.line([(122, 114), arc(122, 114, 84, 84, angle, angle + 1)[0]], shade(colour, 0.4), 2.5)
    c.rect(32, 112, 178, 11, glossy(tint(colour, 0.35)), 5)
    c.circle(150, 104, 15, "#f6d3b8")
    c.polygon(arc(150, 100, 16, 13, 180, 360), "#f2c94e")
    for x in (66, 190):
        c.circle(x, 198, 25, _DARK)
        c.circle(x, 198, 17, "#e4e6ea")
        c.circle(x, 198, 5, frame)
    return c


def blocks(first: str, second: str, third: str, wall: str) -> Canvas:
    """A small castle of wooden building blocks."""
    c = studio(wall)
    c.shadow(128, 216, 100)
    for x, colour in ((36, first), (172, second)):
        c.rect(x, 158, 48, 56, glossy(colour), 3)
        c.rect(x, 108, 48, 49, glossy(tint(third if x < 100 else first, 0.1)), 3)
        c.polygon([(x - 4, 107), (x + 52, 107), (x + 24, 66)], glossy(second if x < 100 else third))
    c.rect(86, 158, 84, 56, glossy(third), 3)
    c.polygon([(104, 214), (104, 196), *arc(128, 196, 24, 24, 180, 360), (152, 214)], shade(wall, 0.25))
    c.rect(90, 132, 76, 25, glossy(first), 3)
    c.rect(108, 86, 40, 45, glossy(second), 3)
    c.circle(128, 108, 11, tint(second, 0.5))
    c.polygon(arc(128, 85, 24, 26, 180, 360), glossy(first))
    return c


def toy_train(engine: str, wagon: str, wall: str) -> Canvas:
    """A wooden toy train on its track."""
    c = studio(wall)
    c.shadow(128, 218, 116)
    c.rect(6, 202, 244, 12, glossy("#d9a86a"), 4)
    for x in range(14, 250, 24):
        c.rect(x, 208, 10, 8, "#a9743f", 2)
    c.line([(118, 176), (136, 176)], _DARK, 5)
    c.rect(22, 138, 98, 46, glossy(wagon), 6)
    for x, colour in ((28, "#f2c94e"), (58, "#7bb274"), (88, "#e86a9a")):
        c.rect(x, 110, 26, 27, glossy(colour), 3)
    c.rect(134, 100, 46, 84, glossy(engine), 6)
    c.rect(142, 112, 28, 28, ("#d9f1f5", "#a9d3e8"), 4)
    c.rect(128, 90, 58, 13, glossy(shade(engine, 0.35)), 5)
    c.rect(172, 132, 66, 52, glossy(tint(engine, 0.12)), 12)
    c.rect(206, 98, 18, 36, glossy(_DARK), 3)
    c.rect(200, 92, 30, 11, glossy(shade(engine, 0.35)), 4)
    for x, y, r in ((214, 74, 11), (200, 56, 14), (178, 38, 17)):
        c.circle(x, y, r, "#ffffffc0")
    for x, r in ((44, 17), (96, 17), (156, 21), (214, 17)):
        c.circle(x, 204 - r, r, glossy("#a9743f"))
        c.circle(x, 204 - r, r * 0.4, "#f4efe2")
    return c
