"""What columns, files and stages of exports are called, in the languages we met. Only words; who uses them is `files_guess`."""

from __future__ import annotations

import re

# Words are compared without case, blanks and signs. Column titles of HubSpot's, Salesforce's and Pipedrive's exports, of office
# workbooks and of advertising reports; English, German, French, Spanish. The first field whose words have a column gets it.
_PERSON = {
    "email": "email emailaddress emailadresse mail mailadresse primaryemail workemail emailwork correo courriel personemail",
    "first_name": "firstname vorname givenname forename prenom nombre",
    "last_name": "lastname nachname surname familyname familienname apellido apellidos nomdefamille",
    "phone": "phone phonenumber telefon telefonnummer tel telephone mobile mobilephone mobilephonenumber handy telefono",
    "company_id": "associatedcompanyids associatedcompanyid companyid accountid",
    "company_name": "company companyname firma unternehmen organisation organization account accountname societe empresa",
    "source": "leadsource originalsource source quelle herkunft utmsource originaltrafficsource",
    "stage": "lifecyclestage leadstatus stage status",
}
_COMPANY = {
    "domain": "companydomainname domain website webseite websiteurl url homepage",
    "name": "companyname accountname name firma firmenname unternehmen company organisation organization societe empresa",
    "industry": "industry branche sector secteur",
    "employees": "numberofemployees employees mitarbeiter mitarbeiterzahl anzahlmitarbeiter",
    "country": "country countryregion land billingcountry pays pais",
}
_DEAL = {
    "amount": "amount value dealvalue dealamount betrag wert auftragswert umsatz volumen montant importe",
    "stage": "dealstage stage stagename opportunitystage status phase etape etapa",
    "name": "dealname opportunityname dealtitle deal opportunity title titel bezeichnung name projekt",
    "close_date": "closedate expectedclosedate expectedclose closingdate abschlussdatum abschluss datecloture",
    "person_id": "associatedcontactids associatedcontactid contactid primarycontactid personid",
    "company_id": "associatedcompanyids associatedcompanyid companyid accountid organizationid",
    "currency": "currency currencycode dealcurrency amountcurrency währung waehrung currencyisocode devise moneda",
    "source": "leadsource originalsource source quelle herkunft",
}
_TIMES = {
    "created_at": "createdate createddate created createdat createdon datecreated creationdate erstellt erstelltam angelegt angelegtam"
    " dealcreated registeredon addtime gescanntam scannedat signupdate optintime",
    "updated_at": "lastmodifieddate lastmodified updated updatedat modified modifiedon changed changedat geändertam geaendertam updatetime",
}
FIELDS = {kind: {name: words.split() for name, words in (own | _TIMES).items()} for kind, own in
          {"person": _PERSON, "company": _COMPANY, "deal": _DEAL}.items()}  # fmt: skip
IDS = {
    "person": ("recordid", "contactid", "id", "personid", "leadid", "kontaktid", "kundennummer", "kundennr"),
    "company": ("recordid", "companyid", "accountid", "id", "organizationid", "firmenid", "kundennummer", "kundennr"),
    "deal": ("recordid", "dealid", "opportunityid", "id", "auftragsnummer", "auftragsnr", "angebotsnummer", "angebotsnr"),
}
ID_END = re.compile(r"(?:id|nr|nummer|number|no|key|code|badge|registration)$")
TITLES = (
    ("deal", re.compile(r"deal|opportunit|verkaufschance|angebot|pipeline|auftr")),
    ("person", re.compile(r"contact|lead|people|person|kontakt|member|subscriber|teilnehmer")),
    ("company", re.compile(r"compan|account|firmen|unternehmen|organi[sz]ation")),
)
DAYS = ("date", "day", "datum", "tag", "monat", "month", "woche", "week", "reportingstarts")
MEASURES = (
    ("cost", re.compile(r"cost|kosten|spend|spent|ausgaben|budget|coût|coste")),
    ("clicks", re.compile(r"clicks?$|klicks?$")),
    ("impressions", re.compile(r"impr")),
)
# Words in a stage's name → milestone, the first that fits. What is won or lost is looked for first.
DEAL_STAGES = (
    ("M85", re.compile(r"lost|verloren|abgelehnt|absage|cancel|perdu|perdid|dead|disqual")),
    ("M80", re.compile(r"won|gewonnen|signed|beauftragt|gagn|ganad")),
    ("M70", re.compile(r"negot|verhandl|contract|vertrag|verbal|legal|closing")),
    ("M60", re.compile(r"propos|quote|angebot|demo|presentation|präsent|trial|offer|devis")),
    ("M50", re.compile(r"qualif|discover|prospect|appoint|contact|kontakt|new|neu|open|offen|regist|need|bedarf|lead")),
)
PERSON_STAGES = (
    ("MX", re.compile(r"^other$|evangel|disqual|unqualif|^spam")),
    ("M80", re.compile(r"customer|kunde$|kundin|client")),
    ("M50", re.compile(r"opportun|verkaufschance")),
    ("M40", re.compile(r"sql$|sales ?qualified")),
    ("M30", re.compile(r"mql$|marketing ?qualified")),
    ("M20", re.compile(r"^lead|interessent|prospect")),
    ("M10", re.compile(r"subscri|abonn|new|neu|open")),
)


def folded(name: str) -> str:
    """The name without case, blanks and signs."""
    return re.sub(r"[\W_]+", "", name.casefold())
