"""Themes and the items that belong to them. The tastes of the bundled users are drawn from these themes."""

_THEMES = {
    "beach": """
        shop-beach-set shop-snorkel-set shop-sun-shelter shop-surfboard travel-sanya-family-zh
        travel-algarve-family travel-red-sea-reef travel-ericeira-surf travel-maldives-overwater
        travel-naxos-islands travel-zanzibar-spice travel-baltic-cottage travel-dalmatia-sail
        travel-workaway-nomad education-sailing-theory finance-card-travel finance-card-gold
        finance-travel-single finance-travel-annual finance-baggage-cover finance-travel-annual-zh
    """,
    "camping": """
        shop-moka-pot shop-hand-grinder-zh shop-travel-mug shop-tent-two shop-tent-family
        shop-sleeping-bag shop-camp-stove shop-lantern shop-headlamp-zh shop-backpack-45
        travel-patagonia-trek travel-scotland-islands travel-lake-campsite travel-safari-tents
        education-map-compass
    """,
    "coffee": """
        shop-espresso-machine shop-burr-grinder shop-gooseneck-kettle shop-moka-pot shop-ceramic-dripper
        shop-milk-pitcher shop-beans-ethiopia shop-beans-napoli shop-cups-cappuccino
        shop-hand-grinder-zh shop-cold-brew-jar shop-travel-mug shop-kitchen-scale shop-camp-stove
        travel-yunnan-coffee-zh travel-vienna-coffeehouses travel-istanbul-ferries
        travel-ethiopia-coffee-trail education-barista-basics education-latte-art
        education-pour-over-class education-coffee-tasting education-cupping-zh
        education-croissant-class
    """,
    "cooking": """
        shop-chef-knife shop-santoku-knife shop-cast-iron-pan shop-wok-zh shop-rice-cooker-zh
        shop-stand-mixer shop-pasta-machine shop-cutting-board shop-kitchen-scale shop-bento-box
        shop-ramen-bowls shop-home-bread-book travel-tokyo-food travel-xian-food-zh
        travel-chengdu-slow-zh travel-paris-bakeries travel-bologna-food travel-oaxaca-kitchens
        travel-zanzibar-spice education-knife-skills education-sushi-course education-ramen-workshop
        education-pasta-course education-sourdough education-croissant-class
        education-sichuan-cooking-zh education-dumpling-zh education-kids-kitchen finance-card-cashback
    """,
    "culture": """
        shop-e-reader-zh shop-chess-set shop-go-set-zh shop-kyoto-guide shop-novel travel-kyoto-temples
        travel-naoshima-art-zh travel-hangzhou-tea-zh travel-suzhou-gardens-zh travel-great-wall-zh
        travel-xian-food-zh travel-shanghai-night travel-new-york-jazz travel-paris-bakeries
        travel-lisbon-trams travel-vienna-coffeehouses travel-istanbul-ferries travel-amsterdam-canals
        travel-edinburgh-books travel-ethiopia-coffee-trail travel-bologna-food travel-oaxaca-kitchens
        travel-marrakech-riad travel-petra-desert travel-cappadocia-balloons travel-angkor-dawn
        travel-camino-week travel-naxos-islands travel-lighthouse-coast travel-castle-quest
        travel-rail-pass travel-swiss-panorama travel-athens-half travel-seville-guitar
        travel-salzburg-festival travel-exchange-seoul education-chinese-a1 education-french-b1
        education-spanish-a2 education-italian-songs education-flamenco-guitar education-choir-season
        education-street-photo education-tea-ceremony-zh education-calligraphy-zh education-art-history
        finance-card-travel finance-card-travel-zh finance-travel-single finance-travel-annual
        finance-travel-annual-zh finance-student-account-intl
    """,
    "family": """
        shop-rice-cooker-zh shop-tent-family shop-lantern shop-skis-kids shop-camera-instant
        shop-photo-printer-zh shop-ukulele shop-robot-vacuum shop-air-purifier-zh shop-chess-set
        shop-railway-game shop-jigsaw shop-picture-book-zh shop-stroller shop-baby-carrier shop-blocks
        shop-wooden-train shop-balance-bike shop-night-light shop-beach-set shop-sun-shelter
        travel-sanya-family-zh travel-chengdu-slow-zh travel-lake-campsite travel-safari-tents
        travel-family-ski-week travel-lapland-huskies travel-algarve-family travel-baltic-cottage
        travel-theme-park travel-castle-quest travel-farm-stay travel-forest-lodge
        travel-hongkong-park-zh travel-swiss-panorama education-sign-language education-kids-coding
        education-ukulele-kids education-family-portraits education-phone-photo-zh education-dumpling-zh
        education-kids-kitchen education-budgeting education-first-home education-money-kids-zh
        education-retirement-zh education-first-aid-kids education-go-class-zh education-chess-club
        finance-card-cashback finance-card-youth finance-card-travel-zh finance-student-abroad-zh
        finance-savings-easy finance-ski-fund finance-kids-saver finance-kids-saver-zh
        finance-house-deposit finance-emergency-fund finance-car-loan-zh finance-mortgage-fixed
        finance-bike-lease finance-pension-plan finance-pension-zh finance-home-buildings
        finance-family-liability finance-pet-cover finance-family-medical-zh finance-dental-plan
    """,
    "hiking": """
        shop-tent-two shop-sleeping-bag shop-camp-stove shop-headlamp-zh shop-hiking-boots
        shop-backpack-45 shop-trekking-poles shop-rain-jacket shop-thermal-layer shop-tripod-travel
        shop-trail-shoes shop-gps-watch shop-baby-carrier travel-fuji-sunrise travel-great-wall-zh
        travel-petra-desert travel-dolomites-huts travel-madeira-levadas travel-iceland-light
        travel-lofoten-cabins travel-patagonia-trek travel-camino-week travel-scotland-islands
        travel-nepal-teahouse travel-farm-stay travel-night-train-north travel-trail-camp
        education-landscape-photo education-trail-technique education-avalanche-course
        education-map-compass finance-card-green finance-travel-annual finance-mountain-rescue
        finance-green-fund finance-sports-health
    """,
    "home": """
        shop-cups-cappuccino shop-cast-iron-pan shop-rice-cooker-zh shop-stand-mixer shop-cutting-board
        shop-photo-printer-zh shop-yoga-mat-zh shop-dumbbells shop-digital-piano shop-turntable
        shop-desk-lamp shop-armchair shop-bookshelf shop-floor-rug shop-monstera shop-robot-vacuum
        shop-bed-linen shop-air-purifier-zh shop-standing-desk shop-jigsaw shop-novel
        shop-home-bread-book shop-night-light education-sourdough education-tax-return
        education-first-home education-strength-home education-yoga-zh finance-card-cashback
        finance-card-green finance-savings-easy finance-savings-fixed finance-house-deposit
        finance-emergency-fund finance-deposit-zh finance-green-loan finance-car-loan-zh
        finance-mortgage-fixed finance-mortgage-flex finance-robo-plan finance-graduate-starter
        finance-home-contents finance-home-buildings finance-renters finance-family-liability
        finance-pet-cover finance-home-insurance-zh finance-dental-plan
    """,
    "investing": """
        shop-calculator education-english-business-zh education-data-analysis education-quant-zh
        education-budgeting education-investing-101 education-tax-return education-first-home
        education-startup-finance education-money-kids-zh education-retirement-zh education-statistics
        finance-card-gold finance-business-card finance-savings-fixed finance-gold-plan
        finance-deposit-zh finance-mortgage-flex finance-etf-world finance-bond-ladder
        finance-green-fund finance-tech-fund finance-japan-fund finance-robo-plan finance-stock-account
        finance-pension-plan finance-etf-zh finance-pension-zh finance-tea-trust-zh finance-young-pro
        finance-business-account
    """,
    "japan": """
        shop-ceramic-dripper shop-santoku-knife shop-bento-box shop-ramen-bowls shop-matcha-set
        shop-kyoto-guide shop-kanji-cards travel-kyoto-temples travel-tokyo-food travel-hokkaido-powder
        travel-fuji-sunrise travel-naoshima-art-zh education-japanese-a1 education-japanese-a2
        education-pour-over-class education-sushi-course education-ramen-workshop finance-card-travel
        finance-travel-single finance-travel-annual-zh finance-japan-fund
    """,
    "music": """
        shop-acoustic-guitar shop-electric-guitar shop-ukulele shop-digital-piano shop-headphones
        shop-turntable shop-guitar-strings shop-metronome shop-erhu-zh travel-new-york-jazz
        travel-vienna-coffeehouses travel-seville-guitar travel-salzburg-festival travel-dublin-sessions
        education-italian-songs education-guitar-beginner education-blues-guitar
        education-flamenco-guitar education-ukulele-kids education-piano-adults education-music-theory
        education-jazz-harmony education-choir-season education-erhu-zh finance-prepaid-festival
        finance-music-loan finance-gadget-cover finance-instrument-cover
    """,
    "photography": """
        shop-camera-mirrorless shop-camera-instant shop-lens-35 shop-lens-macro shop-tripod-travel
        shop-camera-bag shop-film-rolls shop-photo-printer-zh shop-drone travel-kyoto-temples
        travel-fuji-sunrise travel-great-wall-zh travel-shanghai-night travel-lisbon-trams
        travel-marrakech-riad travel-petra-desert travel-cappadocia-balloons travel-angkor-dawn
        travel-dolomites-huts travel-iceland-light travel-lofoten-cabins travel-safari-tents
        travel-lighthouse-coast travel-swiss-panorama education-photo-basics education-street-photo
        education-landscape-photo education-family-portraits education-darkroom-zh
        education-phone-photo-zh finance-travel-single finance-baggage-cover finance-camera-cover
    """,
    "programming": """
        shop-headphones shop-standing-desk shop-laptop-13 travel-workaway-nomad education-python-start
        education-data-analysis education-machine-learning education-web-frontend education-rust-systems
        education-kids-coding education-python-zh education-quant-zh education-startup-finance
        education-statistics education-presentation-skills finance-business-card finance-etf-world
        finance-tech-fund finance-stock-account finance-etf-zh finance-business-account
        finance-gadget-cover
    """,
    "running": """
        shop-headlamp-zh shop-rain-jacket shop-thermal-layer shop-road-shoes shop-trail-shoes
        shop-gps-watch shop-running-vest shop-yoga-mat-zh shop-foam-roller shop-dumbbells
        travel-madeira-levadas travel-berlin-marathon travel-athens-half travel-trail-camp
        education-marathon-plan education-couch-to-5k education-trail-technique education-strength-home
        education-yoga-zh finance-running-cover finance-emergency-fund finance-bike-lease
        finance-sports-health
    """,
    "ski": """
        shop-skis-allmountain shop-skis-kids shop-ski-boots shop-ski-goggles shop-ski-helmet
        shop-snowboard-zh shop-thermal-layer travel-hokkaido-powder travel-jilin-ski-zh travel-tyrol-ski
        travel-family-ski-week travel-chamonix-freeride travel-lapland-huskies education-ski-technique
        education-avalanche-course finance-winter-sports finance-mountain-rescue
        finance-winter-sports-zh finance-ski-fund finance-sports-health
    """,
    "student": """
        shop-moka-pot shop-travel-mug shop-bento-box shop-headphones shop-desk-lamp shop-laptop-13
        shop-campus-backpack shop-e-reader-zh shop-calculator shop-notebook shop-railway-game
        shop-kanji-cards travel-lisbon-trams travel-amsterdam-canals travel-edinburgh-books
        travel-ericeira-surf travel-rail-pass travel-night-train-north travel-dublin-sessions
        travel-exchange-seoul travel-workaway-nomad education-japanese-a1 education-chinese-a1
        education-spanish-a2 education-english-business-zh education-ielts-zh education-python-start
        education-python-zh education-budgeting education-tax-return education-statistics
        education-academic-writing education-speed-study education-presentation-skills
        education-chess-club finance-card-youth finance-student-card finance-prepaid-festival
        finance-student-abroad finance-student-abroad-zh finance-savings-easy finance-student-loan
        finance-student-account finance-student-account-intl finance-young-pro
        finance-student-account-zh finance-graduate-starter finance-renters finance-gadget-cover
    """,
    "tea": """
        shop-wok-zh shop-gaiwan-zh shop-longjing-zh shop-matcha-set shop-erhu-zh shop-go-set-zh
        travel-hangzhou-tea-zh travel-suzhou-gardens-zh travel-yunnan-coffee-zh travel-chengdu-slow-zh
        travel-nepal-teahouse education-erhu-zh education-cupping-zh education-tea-ceremony-zh
        education-sichuan-cooking-zh education-calligraphy-zh education-go-class-zh
        finance-card-travel-zh finance-tea-trust-zh
    """,
}

THEMES: dict[str, tuple[str, ...]] = {theme: tuple(ids.split()) for theme, ids in _THEMES.items()}
"""Theme name -> the ids of its items, which span at least two domains."""
