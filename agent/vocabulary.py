"""Words in the names of events, in the languages that product teams write them in, and how a name is taken apart.

A stem of four letters or more is met by every token that begins with it, a shorter one by itself only. Accents and case do not count, and
scripts without spaces are searched for the stem anywhere. Two words stand for two tokens next to each other.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[^\W_]+")
_SHORTEST_STEM = 4

WORDS: dict[str, str] = {
    "sign_up": """signup signedup sign_up signed_up sign_ups register registr enroll account_opened
        anmeldung angemeldet registrier konto_eroffnet inscri inscrit creation_compte alta_usuario cadastr iscri registra aangemeld geregistreerd
        rejestrac zarejestr kayit регистрац зарегистр 登録 注册 註冊 가입""",
    "account": """workspace organization organisation org company team tenant account customer shop store site
        konto firma unternehmen kunde compte entreprise societe client cuenta empresa cliente conta azienda bedrijf klant konta""",
    "person": """user member teammate developer seller buyer visitor colleague contact
        nutzer benutzer mitglied utilisateur membre usuario miembro utente membro gebruiker uzytkownik""",
    "create": """created create creates creation provisioned
        erstellt angelegt cree creee creado creada criado criada creato creata aangemaakt utworzon создан 作成 创建""",
    "start": """started start starts began begun activated active activate
        gestartet begonnen aktiviert demarre commence active iniciad activad ativad avviat attivat gestart geactiveerd""",
    "join": "joined join joins beigetreten rejoint unido entrou unito toegetreden dolaczyl",
    "install": "install installed installiert instalad installat geinstalleerd",
    "subscription": """subscri subscription membership licence license plan plans premium contract paid_plan
        abo abonn lizenz vertrag tarif forfait contrat suscri plan_pago contrato assinatura abbonament contratto abonament""",
    "trial": "trial probezeit testphase essai prueba teste_gratis prova proefperiode",
    "lead": "demo meeting call consultation quote termin beratung rendez_vous devis cita demostracion reuniao appuntamento afspraak",
    "booked": "booked scheduled requested gebucht vereinbart angefragt reserve demande agendad solicitad prenotat richiest geboekt aangevraagd",
    "buy": """purchas bought buys paid converted conversion
        gekauft kauf bestellt bezahlt achat achete paye compra comprad pagad acquist pagat gekocht besteld betaald kupion оплачен куплен
        購入 购买 购买 결제""",
    "money": """payment order checkout purchase invoice deal booking reservation donation cart transaction
        zahlung bestellung rechnung buchung paiement commande facture reserva pago pedido factura pagamento ordine fattura betaling bestelling
        zamowienie заказ""",
    "done": """completed complete succeeded success confirmed received placed won signed approved paid finished
        abgeschlossen erfolgreich bestatigt erhalten unterschrieben termine reussi confirme signe completad exitos confirmad firmad concluid
        completat confermat voltooid bevestigd zakonczon""",
    "step": """view viewed views seen shown opened_page page click button modal screen abandon fail attempt entered details visited remind mail email
        sent notice read download hover reason warning survey answered scrolled compared form prompt banner impression tooltip link begun_checkout
        angesehen geklickt geoffnet seite vue cliqu page_vue visto clic pagina bekeken geklikt""",
    "end": """cancel churn ended expired deactiv unsubscri delet closed terminated lapsed revoked
        kundig gekundigt storniert beendet geloscht resili annul suppri baja cancelad eliminad desativ encerrad disdett cessat opgezegd verwijderd
        anulowan отмен 解約 取消 해지""",
    "shrink": "downgrad reduced shrunk herabgestuft reduit reducid ridott",
    "grow": "upgrad expand expansion extended aufgestockt erweitert hochgestuft ampli mejorad aggiornat 升级",
    "change": "changed change switched updated gewechselt geandert change_de cambiad mudad cambiat gewijzigd",
    "raise": "added raised increased bought purchased hinzugefugt erhoht ajoute augment anadid aument aggiunt toegevoegd",
    "capacity": "seat quota limit license licence addon credit storage platz plaetze sitz place plaza posto",
    "running": "count total number anzahl nombre numero totale aantal",
}
"""Concept → its stems. Words of two parts are joined by an underscore."""


@cache
def tokens(name: str) -> tuple[str, ...]:
    """The words of a name, in lower case and without accents: `UserSignedUp`, `user signed-up` and `user.signed_up` are the same."""
    return tuple(_WORD.findall(_CAMEL.sub(" ", _plain(name)).replace("_", " ").casefold()))


def _plain(text: str) -> str:
    """Without accents; composed again, since some scripts fall apart into more than letter and mark."""
    return unicodedata.normalize("NFKC", "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one)))


@cache
def _stems(concept: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(_plain(stem).split("_")) for stem in WORDS[concept].split())


@cache
def met(name: str, concept: str) -> str | None:
    """The part of a name that says this, or nothing."""
    words = tokens(name)
    for stem in _stems(concept):
        for place in range(len(words) - len(stem) + 1):
            if all(_fits(word, part) for word, part in zip(words[place:], stem, strict=False)):
                return " ".join(words[place : place + len(stem)])
    return None


def _fits(word: str, stem: str) -> bool:
    if not stem.isascii():
        return stem in word
    return word == stem or (len(stem) >= _SHORTEST_STEM and word.startswith(stem))
