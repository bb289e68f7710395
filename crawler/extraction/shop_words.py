"""The words of shops in many languages: buttons to buy, stock, codes of articles, and prices that are not the price."""

from __future__ import annotations

import re

_ANY_SIDE = r"(?<!\w)(?:{})(?!\w)"


def _alternatives(*lines: str) -> re.Pattern[str]:
    return re.compile("|".join(line for line in lines if line), re.I)


BUY = _alternatives(
    r"\badd(?:ed)? (?:\w+ )?to (?:\w+ )?(?:cart|bag|basket|trolley|order)|\bbuy(?: it)? now\b|^buy$|\bpre-?order\b",
    r"\border now\b|\badd(?:to|-to-|_to_)(?:cart|bag|basket)|\bcart/add\b|^(?:add|order|book|place bid|bid now)$",
    r"in den (?:waren|einkaufs)korb|in den einkaufswagen|jetzt (?:kaufen|bestellen)|^kaufen$|^bestellen$",
    r"vorbestellen",
    r"ajouter au panier|acheter|commander\b|añadir (?:al|a la) (?:carrito|cesta|bolsa)|agregar al carr|\bcomprar\b",
    r"adicionar (?:ao|à) (?:carrinho|sacola|cesto)|aggiungi al carrello|acquista|metti nel carrello|\bordina\b",
    r"in (?:het )?winkel(?:wagen|mand)|in mijn winkel|toevoegen aan|lägg i (?:varukorg|kundvagn)|^köp|læg i kurv",
    r"legg i handle|^kjøp|tilføj til kurv|lisää (?:ostos)?kori|osta nyt|^osta$|do koszyka|^kup|kup teraz|zamów",
    r"(?:vložit|přidat|pridať|vložiť)? ?do (?:košíku|košíka|košika)|^koupit|^kúpiť|kosárba|megveszem",
    r"adaug[aă] [iî]n co[sș]",
    r"cumpăr|comand[aă]|dodaj (?:u|v) (?:košaricu|košarico|korpu)|u košaricu|v košarico|^kupi",
    r"lisa (?:ostu)?korvi|ostukorvi",
    r"į krepšelį|grozā|в корзину|купить|заказать|в кошик|купити|в кошика|купи\b|καλάθι|αγορά|sepete ekle|satın al",
    r"לסל|הוסף|קנה|רכישה|أضف إلى|اشتر|شراء|장바구니|구매하기|바로\s*구매|구매$|구입|주문하기|담기",
    r"カート|かご|購入|買い物|加入購物車|購物車|立即購買|我要購買|直接購買|加入购物车|立即购买|ใส่ตะกร้า|ซื้อ",
    r"thêm vào giỏ|mua ngay|beli|keranjang",
)
"""Matches the words, or the class and id, of a button to buy."""

VIEW_CART = _alternatives(
    r"\b(?:view|go to|show|my|your|shopping) (?:cart|bag|basket)|zum warenkorb|voir (?:le|mon) panier|wish|compare",
    r"to (?:wish|list|favou?rite|registry)|wunsch|favori|구매내역|조회|checkout|how to|history|자주|guide|정보",
)
"""Matches words near a cart that put nothing into it."""

OUT_OF_STOCK = _alternatives(
    r"\b(?:out[ -]of[ -]stock|sold[ -]?out|currently unavailable|(?:is |temporarily |not )unavailable)\b",
    r"\b(?:not (?:currently )?available|no longer (?:available|in stock|for sale)|discontinued|notify me when)\b",
    r"\b(?:this item is unavailable|unavailable online|e-?mail me when|back in stock (?:alert|notif))",
    r"ausverkauft|nicht (?:mehr )?(?:verfügbar|lieferbar|vorrätig|auf lager)|derzeit nicht|momentan nicht|vergriffen",
    r"rupture de stock|épuisé|indisponible|non disponibile|esaurito|attualmente non|agotad[oa]|sin existencias",
    r"no disponible",
    r"esgotad[oa]|indisponível|sem estoque|uitverkocht|niet (?:op voorraad|leverbaar|beschikbaar)|slutsåld",
    r"utsolgt|udsolgt",
    r"ikke på lager|ej i lager|slut i lager|loppuun?myyty|ei (?:ole )?(?:varastossa|saatavilla|saadaval)|läbi müüdud",
    r"niedostępn|brak w magazynie|wyprzedan|vyprodáno|vypredan|nedostupn|nie je (?:na sklade|dostupn)",
    r"není (?:skladem|dostupn)",
    r"nincs (?:raktáron|készleten)|elfogyott|stoc epuizat|indisponibil|rasprodan|ni na zalogi",
    r"nema na (?:zalihi|stanju)",
    r"нет в наличии|распродан|недоступен|немає в наявності|изчерпан|εξαντλ|μη διαθέσιμ|tükendi|stokta yok",
    r"אזל|לא במלאי|غير متوفر|نفد|품절|매진|일시\s*품절|판매\s*종료|판매\s*중지|재입고|在庫切れ|在庫なし",
    r"売り切れ|完売|品切れ|販売終了",
    r"缺貨|售完|已售罄|补货|補貨|无货|สินค้าหมด|hết hàng|stok habis",
)
IN_STOCK = _alternatives(
    r"\b(?:in stock|available (?:now|online|for)|only \d+ left|ready to ship|usually (?:ships|dispatched))\b",
    r"\b\d+ available\b",
    r"auf lager|sofort (?:lieferbar|verfügbar)|lieferbar|vorrätig|en stock|disponible\b|disponibile",
    r"disponibilità immediata",
    r"en existencia|em estoque|disponível|op voorraad|leverbaar|i lager|på lager|varastossa|laos olemas",
    r"saadaval|dostępn[yae]",
    r"na sklad[eě]|skladem|raktáron|készleten|[îi]n stoc|na zalogi|na zalihi|dostupno|есть в наличии|в наличии",
    r"є в наявності",
    r"διαθέσιμο|stokta var|במלאי|متوفر|재고\s*있|당일\s*발송|在庫あり|現貨|有庫存|现货|有货|มีสินค้า|còn hàng",
)

_NUMBER_WORDS = r"(?:no|nr|num(?:ber|mer|ero)?|núm(?:ero)?|numéro|code|kód|kod|id|#|№)\.?"
_ARTICLE = (
    r"(?:item|product|article|artikel|art|produkt|produit|catalog(?:ue)?|cat|style|stock|web|order|bestell"
    r"|varen?|listing)"
)
CODE_LABEL = _alternatives(
    _ANY_SIDE.format(r"sku(?:[ -]?(?:no|nr|number|code|id))?"),
    rf"(?<!\w){_ARTICLE}\.?[ -]*{_NUMBER_WORDS}(?!\w)",
    _ANY_SIDE.format(r"(?:bestell|artikel|art|produkt|katalog)\.?-?(?:nr|nummer|kod)\.?|artnr|varenr|tcin|dpci|asin"),
    _ANY_SIDE.format(r"(?:post|ad|lot|offer|item|deal|goods|pid) ?(?:id|#|no\.?|number)|ebay item number|internet #"),
    r"référence(?: (?:produit|article|fabricant))?|code (?:article|produit)|n° (?:d'article|article)",
    r"c[oó]digo(?: (?:de(?:l)? )?(?:producto|produto|art[ií]culo|artigo))?|referencia|referência",
    r"c[oó]d\.(?: (?:prod|art)\w*\.?)?",
    r"codice(?: (?:articolo|prodotto))?|cod\. (?:art|prodotto|produs)\w*\.?|cod produs|codul produsului|rif\.",
    r"nr (?:ref|kat|art)\w*\.?|numer (?:referencyjny|katalogowy|produktu|artykułu)|kod (?:produktu|towaru)",
    r"indeks|symbol:",
    r"k[oó]d (?:produktu|tovaru|zboží|výrobku)|katalogové číslo|objednací (?:kód|číslo)|číslo (?:produktu|tovaru)",
    r"cikkszám|termékkód|šifra(?: (?:artikla|izdelka|proizvoda))?|kataloški broj|tootekood|toote kood",
    r"tuote(?:numero|koodi)",
    r"prekės kodas|preces kods|артикул|код (?:товара|товару|продукта)|арт\.|κωδικός(?: προϊόντος)?",
    r"(?:ürün|stok) kodu",
    "מק[\"״']ט|מספר (?:קטלוגי|פריט)|קוד (?:מוצר|פריט)|رمز المنتج|رقم المنتج|kode (?:produk|barang)",
    "mã (?:sản phẩm|sp|hàng)",
    r"(?:상품|제품|품목|딜)\s*(?:코드|번호)|품번|商品(?:番号|コード|管理番号|編號|编号|代碼|貨號|id)|品番",
    r"管理番号|貨號|货号|รหัสสินค้า",
)
"""Matches the words before the code under which a shop sells an article."""
WEAK_CODE_LABEL = _alternatives(_ANY_SIDE.format(r"r[eé]f(?:\.|erence)?|art\.|cod\.|code|n°|№"))
"""Matches words that often stand before such a code, but also before other numbers."""
GTIN_LABEL = _alternatives(
    _ANY_SIDE.format(r"gtin(?:-?1?\d)?|ean(?:-?1?\d)?(?:[ -]?code)?|upc(?:[ -]?code)?|isbn(?:-?13)?|jan")
)
MPN_LABEL = _alternatives(
    r"(?<!\w)model(?=\s*[:：])",
    _ANY_SIDE.format(
        r"mpn|(?:manufacturer'?s? )?part (?:no|nr|number|#)\.?|(?:item )?model (?:name ?/ ?number|no|nr|number|name)\.?"
    ),
    r"herstellernummer|hersteller-?(?:nr|art)\w*\.?|modellnummer|teilenummer|référence fabricant",
    r"numéro (?:de |du )?modèle",
    r"numero modello|número de modelo|producentens varenr|kod producenta|part number výrobce|型番|モデル番号",
    r"모델명|제품\s*모델",
)
BRAND_LABEL = _alternatives(
    _ANY_SIDE.format(
        r"brand(?: name)?|manufacturer|marke|hersteller|marque|fabricant|marca|merk|märke|mærke|merke|márka"
    ),
    r"(?<!\w)(?:marka|producent|značka|výrobce|výrobca|gyártó|producător|proizvođač|proizvajalec|tootja|valmistaja|merkki)(?!\w)",
    r"(?<!\w)(?:бренд|производитель|виробник|марка|μάρκα|מותג|יצרן|الماركة|العلامة التجارية)(?!\w)|브랜드",
    r"제조사|ブランド|メーカー|品牌",
)
COLOR_LABEL = _alternatives(
    _ANY_SIDE.format(
        r"colou?r|farbe|couleur|colore|kleur|färg|farve|farge|väri|kolor|barva|farba|szín|culoare|boja|cor"
    ),
    r"(?<!\w)(?:цвет|колір|renk|צבע|اللون)(?!\w)|색상|컬러|カラー|色(?=\s*[:：])|顏色|颜色",
)
MATERIAL_LABEL = _alternatives(
    _ANY_SIDE.format(
        r"material|fabric|materiale|matière|matériau|materiaali|materiał|materiál|anyag|материал|состав|חומר"
    ),
    r"소재|재질|素材|材質|材质",
)
SIZE_LABEL = _alternatives(
    _ANY_SIDE.format(r"size|größe|taille|talla|taglia|tamanho|maat|storlek|rozmiar|velikost|размер"),
    r"사이즈|サイズ|尺寸",
)

OTHER_AMOUNT = _alternatives(
    r"shipping|delivery|postage|versand|livraison|env[ií]o|frete|spedizion|verzend|frakt|fragt|toimitus|dostaw",
    r"doprav|доставк",
    r"배송|송료|送料|運費|运费|משלוח|\b(?:you )?save\b|savings?\b|sparen|ersparnis|économi|ahorr|risparmi",
    r"zľava|sleva|oszczędz",
    r"할인\s*금액|쿠폰|coupon|voucher|gutschein|gift card|points?\b|punkte|적립|포인트|ポイント|cashback",
    r"per month|/ ?mo\b|monthly|monat|mois\b|mensual|\bmes(?:es)?\b|mese\b|maand|måned|månad|rat[ay]\b|raty",
    r"cuota|parcela|\d+ ?x (?:de )?",
    r"每期|分期|分割払|installments?|financ|klarna|afterpay|leasing|월\s*\d|분할|deposit|kaution|insurance|versicherung",
    r"assurance|warranty",
    r"\bex(?:cl?)?\.? ?(?:vat|tax|gst|btw)|excluding (?:vat|tax)|without (?:vat|tax)|zzgl\. ?mwst|\bnetto\b",
    r"\bhors tva\b|\bht\b|bez dph|bez ddv|bez pdv",
    r"sin iva|iva esclus|iva excl|fără tva|ohne mwst|без ндс|税抜|未稅",
    r"\b(?:minimum|orders? (?:over|above)|spend|from orders|ab einem)\b|free over",
    r"/ ?(?:kg|l|m²|100 ?(?:g|ml))\b|per (?:kg|litre|liter|100)|grundpreis|prix au (?:kg|litre)|trade-?in",
    r"used from|gebraucht",
)
"""Matches words beside amounts that are not the price of the product."""
FORMER_PRICE = _alternatives(
    r"\b(?:was|rrp|msrp|srp|list price|regular price|retail price|old price|original price|before|compare at)\b",
    r"\buvp\b|statt\b",
    r"bisher|früher|unverb|prix (?:conseillé|barré|public)|au lieu de|avant\b",
    r"precio (?:anterior|de lista|regular|normal)|antes\b",
    r"prezzo (?:di listino|precedente|consigliato)|invece di|anziché|\bpvp\b|preço (?:de tabela|anterior)",
    r"adviesprijs|\bvan voor\b",
    r"cena (?:regularna|katalogowa)|najniższa cena|běžná cena|původní|pôvodn|bežná cena|eredeti ár|preț vechi",
    r"prp\b|stara cena",
    r"старая цена|정가|시중가|소비자가|정상가|定価|通常価格|メーカー希望|原價|原价|市價|建議售價",
    r"מחיר (?:קודם|רגיל|מחירון)|لسعر السابق",
)
"""Matches words beside a price that was asked before a reduction, or that the maker recommends."""
