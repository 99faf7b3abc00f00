"""Motifs of coffee, tea and the kitchen; each draws one thing, in the colours it is given."""

from .canvas import Canvas, arc, bezier, glossy, mix, shade, smooth, steam, studio, tabletop, tint, turn

_COFFEE = "#6b3f22"
_CREAM = "#f6e6cb"
_DARK = "#2c2a33"


def espresso_machine(body: str, wall: str) -> Canvas:
    """An espresso machine filling a small cup."""
    c = studio(wall)
    c.shadow(128, 207, 92)
    c.rect(74, 100, 108, 80, (shade(body, 0.45), shade(body, 0.3)))
    c.rect(54, 56, 148, 54, glossy(body), 10)
    c.rect(54, 180, 148, 26, glossy(body), 8)
    c.rect(64, 173, 128, 9, _DARK, 3)
    for x in (70, 96, 146, 168):
        c.rect(x, 40, 20, 17, ("#ffffff", "#d8d3cc"), 5)
    c.circle(84, 83, 17, shade(body, 0.4))
    c.circle(84, 83, 14, "#fdfaf3")
    c.line([(84, 83), (93, 75)], "#d2452f", 2.5)
    for x, colour in ((146, "#e2533c"), (164, "#f2c14e"), (182, "#7bb274")):
        c.circle(x, 83, 6, colour)
    c.rect(110, 108, 36, 12, _DARK, 2)
    c.rect(54, 121, 52, 9, ("#8a5a34", "#55331c"), 4)
    c.rect(102, 118, 52, 13, ("#9a9aa4", "#55555f"), 4)
    c.rect(122, 131, 12, 8, "#55555f", 2)
    c.line([(128, 138), (128, 154)], _COFFEE, 3)
    c.line(arc(146, 160, 8, 7, -90, 90), "#ffffff", 4)
    c.rect(112, 150, 32, 24, ("#ffffff", "#ddd8d0"), 7)
    c.line([(184, 108), (188, 130), (182, 156)], "#c9c9d2", 5)
    return c


def moka_pot(metal: str, wall: str) -> Canvas:
    """A faceted stovetop pot."""
    c = studio(wall)
    c.shadow(130, 206, 60)
    c.line(bezier((158, 84), (214, 78), (206, 130), (190, 146)), _DARK, 12)
    edges_top, edges_low = (84, 106, 150, 172), (100, 116, 140, 156)
    foot = (86, 108, 148, 170)
    shades = (shade(metal, 0.1), tint(metal, 0.35), shade(metal, 0.3))
    c.polygon([(86, 76), (64, 70), (96, 112)], shade(metal, 0.2))
    for i, tone in enumerate(shades):
        upper = [(edges_top[i], 76), (edges_top[i + 1], 76), (edges_low[i + 1], 138), (edges_low[i], 138)]
        lower = [(edges_low[i], 150), (edges_low[i + 1], 150), (foot[i + 1], 206), (foot[i], 206)]
        lid = [(edges_top[i], 76), (edges_top[i + 1], 76), (120 + 6 * (i + 1), 54), (120 + 6 * i, 54)]
        c.polygon(upper, (tone, shade(tone, 0.15)))
        c.polygon(lower, (tone, shade(tone, 0.15)))
        c.polygon(lid, (tint(tone, 0.2), tone))
    c.rect(96, 136, 64, 15, glossy(shade(metal, 0.2)), 4)
    c.circle(128, 48, 8, _DARK)
    c.circle(128, 178, 5, "#d9a441")
    return c


def cup(body: str, wall: str, band: str | None = None) -> Canvas:
    """A steaming cup on its saucer, seen from the side."""
    c = studio(wall)
    c.shadow(128, 212, 88)
    c.ellipse(128, 204, 84, 12, glossy(shade(body, 0.1)))
    c.ellipse(128, 200, 60, 7, shade(body, 0.25))
    c.line(arc(184, 144, 25, 22, -110, 110), glossy(body), 11)
    side = bezier((68, 112), (70, 176), (90, 200), (108, 202))
    other = [(256 - x, y) for x, y in reversed(side)]
    c.polygon(side + other, glossy(body))
    if band is not None:
        c.line(arc(128, 148, 56, 12, 5, 175), band, 9)
    c.ellipse(128, 112, 60, 15, tint(body, 0.5))
    c.ellipse(128, 114, 53, 11, (shade(_COFFEE, 0.1), tint(_COFFEE, 0.15)))
    c.line(bezier((84, 128), (84, 160), (92, 176), (98, 186)), tint(body, 0.55) + "a0", 5)
    steam(c, 128, 92)
    return c


def latte(body: str, wood: str, leaf: bool) -> Canvas:
    """A cup from above, with a rosetta or a heart in the foam."""
    c = tabletop(wood)
    c.shadow(134, 142, 100, 98)
    c.circle(128, 130, 98, glossy(tint(body, 0.35)))
    c.rect(196, 120, 44, 20, glossy(body), 9)
    c.circle(128, 130, 74, glossy(body))
    c.circle(128, 130, 65, ("#a8703f", "#7d4b27"))
    if leaf:
        for i, (width, y) in enumerate(((20, 92), (31, 104), (39, 118), (40, 133), (34, 148), (24, 162))):
            petal = arc(128, y, width, 15, 180 + 10, 360 - 10) + arc(128, y + 10, width, 13, -10, -170)
            c.polygon(petal, mix(_CREAM, "#ffffff", i % 2 * 0.4))
        c.line([(128, 80), (128, 184)], "#9c6638", 3)
    else:
        for width, y, tone in ((40, 124, _CREAM), (27, 124, "#a8703f"), (16, 122, _CREAM)):
            heart = bezier(
                (128, y + width), (70 + 40 - width, y), (128 - width, y - width), (128, y - width / 2)
            )
            c.polygon(heart + [(256 - x, yy) for x, yy in reversed(heart)], tone)
    return c


def kettle(body: str, wall: str) -> Canvas:
    """A gooseneck kettle."""
    c = studio(wall)
    c.shadow(128, 207, 74)
    c.line(bezier((92, 186), (22, 190), (84, 96), (40, 92)), glossy(shade(body, 0.1)), 9)
    c.line([*bezier((160, 112), (226, 84), (216, 160), (206, 186))], _DARK, 11)
    c.polygon([(78, 206), (182, 206), (164, 112), (96, 112)], glossy(body))
    c.polygon([(92, 200), (106, 200), (112, 118), (104, 118)], tint(body, 0.6) + "90")
    c.ellipse(130, 112, 34, 8, tint(body, 0.3))
    c.polygon(arc(130, 110, 30, 22, 180, 360), glossy(shade(body, 0.15)))
    c.circle(130, 80, 13, _DARK)
    c.circle(130, 80, 10, "#fdfaf3")
    c.line([(130, 80), (135, 74)], "#d2452f", 2)
    return c


def coffee_bag(bag: str, label: str, wall: str) -> Canvas:
    """A bag of beans with some spilled in front."""
    c = studio(wall)
    c.shadow(128, 206, 74)
    c.polygon([(76, 206), (180, 206), (184, 74), (72, 74)], glossy(bag))
    c.polygon([(76, 206), (92, 206), (88, 74), (72, 74)], shade(bag, 0.25))
    c.polygon([(72, 74), (184, 74), (178, 48), (78, 48)], (shade(bag, 0.1), shade(bag, 0.3)))
    c.rect(70, 66, 116, 9, shade(bag, 0.45), 3)
    c.rect(98, 96, 72, 78, label, 6)
    _bean(c, 134, 128, 19, 24, shade(bag, 0.1))
    c.rect(112, 160, 44, 4, shade(bag, 0.1), 2)
    for x, y, angle in ((52, 208, 40), (74, 218, 100), (100, 212, 20), (184, 216, 70), (206, 208, 130)):
        _bean(c, x, y, 8, 11, _COFFEE, angle)
    return c


def _bean(c: Canvas, x: float, y: float, rx: float, ry: float, colour: str, angle: float = 25) -> None:
    c.polygon(turn(arc(x, y, rx, ry), angle, (x, y)), glossy(colour))
    seam = bezier((x, y - ry), (x - rx / 1.5, y - ry / 3), (x + rx / 1.5, y + ry / 3), (x, y + ry))
    c.line(turn(seam, angle, (x, y)), tint(colour, 0.55), max(1.5, rx / 7))


def teaset(glaze: str, wood: str, wall: str) -> Canvas:
    """A lidded bowl and two small cups on a tray."""
    c = studio(wall)
    c.shadow(128, 218, 106)
    c.rect(24, 202, 208, 16, glossy(wood), 5)
    c.ellipse(112, 200, 56, 8, glossy(tint(glaze, 0.2)))
    side = bezier((58, 122), (62, 170), (82, 192), (94, 196))
    c.polygon(side + [(224 - x, y) for x, y in reversed(side)], glossy(glaze))
    c.ellipse(112, 122, 54, 11, tint(glaze, 0.5))
    c.polygon(arc(112, 119, 47, 34, 180, 360), glossy(tint(glaze, 0.1)))
    c.rect(99, 76, 26, 12, glossy(glaze), 5)
    for x, y in ((78, 158), (140, 166), (112, 150)):
        c.line(bezier((x, y + 12), (x + 4, y), (x + 10, y - 6), (x + 16, y - 8)), shade(glaze, 0.4), 2.5)
        c.ellipse(x + 15, y - 7, 6, 3, shade(glaze, 0.35))
    for x in (186, 218):
        c.polygon([(x - 15, 174), (x + 15, 174), (x + 9, 202), (x - 9, 202)], glossy(glaze))
        c.ellipse(x, 174, 15, 5, tint(glaze, 0.55))
        c.ellipse(x, 175, 12, 3.5, "#c79a3a")
    return c


def pan(metal: str, wood: str, food: str) -> Canvas:
    """A pan from above, with a fried egg ("egg") or a stir-fry ("wok") in it."""
    c = tabletop(wood)
    c.shadow(124, 132, 88, 86)
    c.polygon(
        turn([(180, 112), (262, 114), (262, 136), (180, 138)], 40, (116, 122)), glossy(shade(metal, 0.2))
    )
    c.circle(116, 122, 88, glossy(metal))
    c.circle(116, 122, 78, (shade(metal, 0.5), shade(metal, 0.25)))
    if food == "egg":
        white = smooth([(70, 112), (92, 76), (134, 72), (164, 104), (158, 146), (120, 170), (80, 154)])
        c.polygon(white, ("#ffffff", "#ece6da"))
        c.circle(116, 120, 23, ("#ffcf4a", "#f0a020"))
        c.ellipse(108, 111, 7, 5, "#fff3c9")
        return c
    bits = (("#4f9a3f", 86, 94), ("#d8432f", 128, 86), ("#f0b23c", 150, 118), ("#4f9a3f", 134, 150))
    more = (("#d8432f", 94, 150), ("#f3dfb6", 110, 116), ("#f0b23c", 70, 124), ("#7cba5c", 158, 146))
    for i, (colour, x, y) in enumerate((*bits, *more, ("#e88a3a", 112, 178), ("#7cba5c", 120, 62))):
        piece = [(x - 20, y - 7), (x + 18, y - 9), (x + 21, y + 6), (x - 16, y + 9)]
        c.polygon(smooth(turn(piece, i * 47, (x, y))), glossy(colour))
    return c


def knife(blade: str, handle: str, board: str, wood: str, greens: bool = False) -> Canvas:
    """A kitchen knife on a chopping board, beside slices of tomato or of cucumber."""
    c = tabletop(wood)
    c.shadow(132, 136, 106, 84)
    c.rect(26, 44, 204, 170, glossy(board), 14)
    for y in (72, 104, 140, 182):
        c.line(bezier((34, y), (100, y - 12), (150, y + 12), (222, y)), shade(board, 0.14), 1.5)
    rim, flesh = ("#3f8a3f", "#d9efb8") if greens else ("#c9352b", "#f08a72")
    for x, y in ((64, 160), (98, 176), (66, 192)):
        c.circle(x, y, 19, rim)
        c.circle(x, y, 15, flesh)
        for seed in arc(x, y, 8, 8, 0, 300)[::15]:
            c.circle(*seed, 2, "#fff3c9")
    edge = turn([(40, 122), (150, 122), (150, 152), (100, 152), (66, 142)], -24)
    c.polygon([(x + 3, y + 5) for x, y in edge], "#16142e40")
    c.polygon(edge, (tint(blade, 0.5), blade))
    c.line(turn([(50, 128), (146, 128)], -24), "#ffffffb0", 2)
    c.polygon(turn([(150, 120), (238, 120), (240, 142), (158, 146), (150, 150)], -24), glossy(handle))
    for x in (172, 196, 220):
        c.circle(*turn([(x, 132)], -24)[0], 3, "#d9d4c8")
    return c
