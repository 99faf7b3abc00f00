"""Motifs of dishes and of baking."""

from .canvas import Canvas, arc, bezier, glossy, shade, smooth, steam, studio, tabletop, tint, turn

_RICE = ("#ffffff", "#e9e4da")


def ramen(bowl: str, pattern: str, wall: str) -> Canvas:
    """A bowl of noodle soup with an egg and chopsticks."""
    c = studio(wall)
    c.shadow(128, 212, 62)
    c.rect(100, 196, 56, 14, shade(bowl, 0.2), 3)
    c.polygon(
        bezier((40, 122), (44, 180), (84, 202), (100, 204))
        + bezier((156, 204), (172, 202), (212, 180), (216, 122)),
        glossy(bowl),
    )
    for x in range(66, 200, 27):
        c.line(arc(x, 166, 12, 10, 180, 360), pattern, 4)
    c.ellipse(128, 122, 88, 26, tint(bowl, 0.35))
    c.ellipse(128, 124, 79, 21, ("#c9803a", "#e0a052"))
    for i in range(5):
        x = 70 + i * 13
        c.line(bezier((x, 130), (x + 20, 108), (x + 26, 142), (x + 54, 122)), "#f8dd92", 4)
    for x, y in ((150, 116), (178, 124)):
        c.ellipse(x, y, 17, 11, "#fffdf6")
        c.ellipse(x, y, 9, 6.5, "#f2992e")
    c.polygon([(66, 96), (92, 92), (98, 122), (74, 128)], ("#2f4a35", "#1f3526"))
    for x, y in ((112, 112), (122, 132), (138, 138)):
        c.ellipse(x, y, 5, 3, "#6cab4a")
    for lift in (0, 12):
        c.line([(132, 118 - lift / 3), (232, 54 + lift)], ("#a8482f", "#6e2a1c"), 5)
    steam(c, 112, 88)
    return c


def sushi(plate: str, wood: str) -> Canvas:
    """Three nigiri and three rolls on a plate, seen from above at an angle."""
    c = tabletop(wood)
    c.shadow(132, 140, 110, 80)
    c.rect(20, 52, 216, 156, glossy(plate), 18)
    c.rect(30, 60, 196, 140, tint(plate, 0.15), 12)
    for x, fish, stripe in (
        (66, "#f07a4a", "#ffc9a4"),
        (128, "#d93f4a", "#f7a0a0"),
        (190, "#f6d3b8", "#ee8f6a"),
    ):
        c.rect(x - 20, 74, 40, 66, _RICE, 18)
        c.rect(x - 22, 70, 44, 62, glossy(fish), 16)
        for y in (82, 98, 114):
            c.line(bezier((x - 16, y + 6), (x - 4, y - 4), (x + 6, y + 10), (x + 17, y)), stripe, 3)
    for x, core in ((72, "#f07a4a"), (128, "#6cab4a"), (184, "#f2c14e")):
        c.circle(x, 170, 23, "#22382b")
        c.circle(x, 170, 19, _RICE)
        c.circle(x, 170, 8, core)
    return c


def dumplings(basket: str, wood: str) -> Canvas:
    """Dumplings in a bamboo steamer."""
    c = tabletop(wood)
    c.shadow(132, 138, 108, 106)
    c.circle(128, 130, 106, glossy(shade(basket, 0.1)))
    c.circle(128, 130, 92, shade(basket, 0.35))
    c.circle(128, 130, 88, tint(basket, 0.25))
    for slat in range(52, 212, 16):
        c.line([(slat, 66), (slat, 194)], shade(basket, 0.05), 2)
    for i, (x, y) in enumerate(((128, 130), *arc(128, 130, 56, 56, 10, 310)[::15])):
        angle = i * 63
        half = turn(arc(x, y + 6, 27, 21, 180, 360), angle, (x, y))
        c.polygon([(px + 2, py + 4) for px, py in half], "#16142e30")
        c.polygon(half, ("#fffaf0", "#ecdcc0"))
        for fold in range(-18, 19, 9):
            c.line(turn([(x + fold, y - 10), (x + fold * 0.8, y - 1)], angle, (x, y)), "#d9c29c", 2)
    return c


def loaf(crust: str, wood: str, wall: str) -> Canvas:
    """A round, scored loaf with two cut slices."""
    c = studio(wall)
    c.shadow(128, 216, 104)
    c.rect(22, 202, 212, 14, glossy(wood), 5)
    c.polygon(
        smooth([(34, 192), (44, 132), (86, 94), (138, 92), (184, 128), (196, 190), (180, 204), (50, 204)]),
        glossy(crust),
    )
    for x in (66, 98, 130):
        cut = bezier((x, 150), (x + 8, 126), (x + 24, 112), (x + 42, 112))
        c.line(cut, shade(crust, 0.35), 9)
        c.line(cut, "#f2d9a6", 5)
    for x in (172, 192):
        c.polygon(
            smooth([(x - 22, 200), (x - 26, 160), (x - 8, 136), (x + 18, 138), (x + 32, 164), (x + 26, 202)]),
            glossy(shade(crust, 0.1)),
        )
    c.polygon(
        smooth([(176, 198), (172, 164), (186, 144), (208, 146), (218, 166), (214, 198)]),
        ("#fbeccb", "#eed3a0"),
    )
    for x, y, r in ((186, 166, 4), (202, 160, 3), (206, 180, 4), (190, 184, 3), (198, 172, 2)):
        c.ellipse(x, y, r, r * 0.8, "#d9b67c")
    return c


def croissant(crust: str, plate: str, wood: str) -> Canvas:
    """A croissant on a plate, seen from above."""
    c = tabletop(wood)
    c.shadow(132, 138, 108, 106)
    c.circle(128, 130, 106, glossy(plate))
    c.circle(128, 130, 84, tint(plate, 0.4))
    parts = ((48, 168, 13, 22, 52), (66, 138, 22, 30, 40), (94, 112, 28, 36, 22), (208, 168, 13, 22, -52))
    rest = ((190, 138, 22, 30, -40), (162, 112, 28, 36, -22), (128, 104, 30, 40, 0))
    for x, y, rx, ry, angle in parts + rest:
        lobe = turn(arc(x, y, rx, ry), angle, (x, y))
        c.polygon([(px, py + 5) for px, py in lobe], shade(crust, 0.45))
        c.polygon(lobe, (tint(crust, 0.3), shade(crust, 0.2)))
        shine = turn(arc(x - rx / 4, y, rx / 4, ry / 1.6, 120, 250), angle, (x, y))
        c.line(shine, "#ffe6b0c0", 3)
    return c


def mixer(body: str, wall: str) -> Canvas:
    """A stand mixer with a steel bowl."""
    c = studio(wall)
    c.shadow(132, 208, 88)
    c.rect(52, 190, 162, 17, glossy(body), 8)
    c.polygon([(170, 194), (208, 194), (202, 96), (172, 96)], glossy(shade(body, 0.08)))
    c.polygon(
        smooth([(52, 92), (62, 66), (110, 54), (190, 58), (214, 82), (206, 106), (140, 112), (66, 112)]),
        glossy(body),
    )
    c.line([(60, 96), (204, 94)], "#f4f0e8", 4)
    c.rect(92, 110, 26, 12, "#8b8b96", 3)
    c.line([(105, 120), (105, 150)], "#8b8b96", 6)
    c.polygon(
        bezier((56, 136), (60, 180), (80, 192), (86, 194))
        + bezier((124, 194), (130, 192), (150, 180), (154, 136)),
        ("#f2f3f6", "#9fa3ad"),
    )
    c.ellipse(105, 136, 49, 8, "#d6d9df")
    c.polygon([*bezier((70, 144), (74, 176), (84, 186), (90, 190)), (96, 190), (84, 144)], "#ffffffa0")
    c.circle(190, 84, 7, shade(body, 0.35))
    c.ellipse(96, 72, 26, 5, "#ffffff60")
    return c


def bento(box: str, wood: str) -> Canvas:
    """A lunch box from above: rice, egg, salmon, greens."""
    c = tabletop(wood)
    c.shadow(134, 138, 108, 86)
    c.rect(22, 44, 212, 172, glossy(box), 26)
    c.rect(34, 56, 188, 148, shade(box, 0.35), 18)
    c.rect(40, 62, 84, 136, _RICE, 12)
    c.circle(82, 130, 13, ("#d9433f", "#a82a30"))
    for x, y in ((60, 90), (100, 100), (66, 170), (104, 166)):
        c.ellipse(x, y, 2, 3, "#2c2a33")
    c.rect(130, 62, 86, 62, ("#4f9a3f", "#3b7a35"), 12)
    c.rect(138, 70, 70, 24, ("#f39264", "#e2683c"), 8)
    for x in (150, 166, 182, 198):
        c.line([(x, 73), (x - 6, 91)], "#ffd0b0", 3)
    for x in (146, 166, 186):
        c.rect(x - 7, 100, 16, 18, ("#ffdf7a", "#f0b23c"), 5)
    c.rect(130, 130, 86, 68, ("#f6e3b8", "#ecd09a"), 12)
    for x, y in ((150, 150), (178, 146), (164, 174), (196, 168)):
        c.circle(x, y, 13, ("#7cba5c", "#4f8f3f"))
        for bump in arc(x, y, 8, 8)[::18]:
            c.circle(*bump, 5, "#8fcb6a")
    return c
