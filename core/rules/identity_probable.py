"""I-02: persons who are probably one: odds by Fellegi and Sunter, over pairs that share a telephone or a company.

Every comparison multiplies the odds by m/u: how often it comes out so for two entries of one person, and for two persons. What
decides is how many others agree by chance, so the chances are counted in the data: how many have the telephone, the employer,
the name. The m are assumptions, written out below; `note` of a finding says what was compared.
Source: Fellegi & Sunter, "A Theory for Record Linkage", JASA 64 (1969).
"""

from __future__ import annotations

from functools import reduce
from operator import mul

import ibis

from core.evidence import employer, site
from core.rules import identity_torn
from core.rules.rule import Context, Rule, one_side, prefixed, sides
from core.tables import ranked, stack
from core.thresholds import free_mail

SECOND_ENTRY = 0.02  # the share of persons who have a second entry
# Of such pairs, the share with the same, nearly the same, another first and last name (initials, short forms, slips) …
SAME_NAME, CLOSE_NAME, OTHER_NAME = 0.80, 0.15, 0.02
SAME_COMPANY, OTHER_COMPANY = 0.75, 0.20  # … with the same and another employer
SAME_PHONE, OTHER_PHONE = 0.60, 0.35  # … and telephone
RAREST_NAME = 1 / 10_000  # no name is taken for rarer: data are small, the world is not
CLOSE_BY_CHANCE = 1 / 500  # two persons with one last name, and a first name that could be the same
COLLEAGUES_ON_ONE_LINE = 0.05  # two persons of one company with the same telephone
# m/u of two addresses of one domain: a slip of the pen; ada.berg@ beside ada.berg2@, which tells two persons apart; other ones.
SLIP_IN_ADDRESS, NAMESAKES_ADDRESS, OTHER_ADDRESS = 8.0, 0.01, 0.5
SMALL_BLOCK = 50  # a name that more persons of one company have is no reason to compare them
_Grade = tuple[ibis.Value, ibis.Value]  # the factor, and in words


def probable_duplicates(ctx: Context) -> ibis.Table:
    """Pairs of persons whom nothing links, with p ≥ `duplicate_probability`."""
    people = _people(ctx)
    phones = _phones(ctx)
    pairs = _compared(_candidates(people, phones, int(ctx.limit("shared_phone_persons"))), people, phones)
    pairs = pairs.mutate(p=pairs.odds / (1 + pairs.odds))
    pairs = pairs.filter(pairs.p >= float(ctx.limit("duplicate_probability")))
    share = ibis.literal("p = ").concat(pairs.p.round(3).cast("string"))
    pairs = pairs.mutate(entity_id=pairs.l, part=pairs.r, note=share.concat(": ", pairs.said))
    lead = _leading(ctx)
    t = pairs.select("entity_id", "part", "note").inner_join(prefixed(lead.rename(entity_id="entity"), "a_", "entity_id"), "entity_id")
    t = t.inner_join(prefixed(lead.rename(part="entity"), "b_", "part"), "part")
    a = one_side(t, "a_", "person", "person", part=t.part, value=t.a_email, at=t.a_created_at, note=t.note)
    b = one_side(t, "b_", "person", "person", part=t.part, value=t.b_email, at=t.b_created_at, note=t.note)
    return sides(a, b, identity_torn.of_persons(ctx))


def _leading(ctx: Context) -> ibis.Table:
    """The best-believed record of every person."""
    t = ctx.facts["people"]
    t = t.mutate(place=ibis.row_number().over(group_by="entity_id", order_by=ranked(t, ctx.policy("person")[1])))
    return t.filter(t.place == 0).select("account", "resource", "vendor_id", "email", "created_at", entity="entity_id")


def _people(ctx: Context) -> ibis.Table:
    """One row per person with a first and a last name, as compared; `rarity` is the share of persons with this
    name, `staff` how many have this employer."""
    p = ctx.facts["people"]
    rank = ranked(p, ctx.policy("person")[1])
    named = p.first_name.notnull() & p.last_name.notnull()
    names = p.group_by("entity_id").agg(first=p.first_name.argmin(rank, where=named), last=p.last_name.argmin(rank, where=named))
    t = ctx.facts["person"].select("entity_id", "email", "company_entity", "company_name").inner_join(names, "entity_id")
    firms = ctx.facts["company"].select(company_entity="entity_id", site=site(ctx.facts["company"].domain))
    t = t.left_join(firms, "company_entity")
    free = free_mail(ctx.funnel)
    works_at = employer(t.email, free)
    t = t.select(
        "entity_id", first=_letters(t["first"]), last=_letters(t["last"]), domain=works_at,
        company=ibis.coalesce(works_at, t.site, t.company_entity, _letters(t.company_name)).nullif(""),
        local=t.email.strip().lower().re_extract(r"^([^@]+)@", 1),
    )  # fmt: skip
    t = t.filter(t["first"] != "", t["last"] != "")
    t = t.mutate(whole=_sorted(t))
    size = ibis.greatest(t.count().over(), round(1 / RAREST_NAME)).cast("float64")
    return t.mutate(rarity=ibis.greatest(t.count().over(group_by="whole") / size, RAREST_NAME), staff=t.count().over(group_by="company"))


def _letters(name: ibis.Value) -> ibis.Value:
    return name.lower().re_replace(r"[^\p{L}]+", "")


def _sorted(t: ibis.Table) -> ibis.Value:
    """First and last name whichever stands first: forms are filled the wrong way round."""
    return ibis.least(t["first"], t["last"]).concat(" ", ibis.greatest(t["first"], t["last"]))


def _phones(ctx: Context) -> ibis.Table:
    """(entity_id, phone, having): the last nine digits, so that a country's prefix need not be written; and how many persons have it."""
    t = ctx.facts["people"].filter(lambda p: p.phone.notnull())
    t = t.select("entity_id", phone=t.phone.re_replace(r"[^0-9]", "").right(9)).filter(lambda x: x.phone.length() >= 7).distinct()
    return t.mutate(having=t.count().over(group_by="phone"))


def _candidates(people: ibis.Table, phones: ibis.Table, shared: int) -> ibis.Table:
    """(l, r), l < r: persons with one telephone (not a switchboard's), or of one company with names that look alike."""
    lines = phones.filter(phones.having > 1, phones.having <= shared).select("entity_id", block="phone")
    at_work = people.filter(people.company.notnull())
    keys = [
        at_work.whole,
        at_work["last"].concat("|", at_work["first"].left(1)),
        at_work["first"].concat("|", at_work["last"].left(2)),
    ]
    alike = [at_work.select("entity_id", block=at_work.company.concat(f"|{i}|", key)) for i, key in enumerate(keys)]
    every = stack([lines, *alike], {"entity_id": "string", "block": "string"})
    every = every.mutate(size=every.count().over(group_by="block"))
    every = every.filter(every.size > 1, every.size <= SMALL_BLOCK)
    left, right = every.select("block", l="entity_id"), every.select("block", r="entity_id")
    pairs = left.inner_join(right, "block")
    return pairs.filter(pairs.l < pairs.r).select("l", "r").distinct()


def _compared(pairs: ibis.Table, people: ibis.Table, phones: ibis.Table) -> ibis.Table:
    """(l, r, odds, said): what was compared, in words."""
    t = pairs.inner_join(prefixed(people.rename(l="entity_id"), "a_", "l"), "l")
    t = t.inner_join(prefixed(people.rename(r="entity_id"), "b_", "r"), "r")
    common = phones.select("phone", "having", l="entity_id").inner_join(phones.select("phone", r="entity_id"), "phone")
    common = common.filter(common.l < common.r).group_by("l", "r").agg(having=common.having.min())
    has = phones.select("entity_id").distinct()
    t = t.left_join(common, ["l", "r"]).drop("l_right", "r_right")
    t = t.left_join(has.select(l="entity_id", a_phone="entity_id"), "l").drop("l_right")
    t = t.left_join(has.select(r="entity_id", b_phone="entity_id"), "r").drop("r_right")
    grades = [_names(t), _companies(t), _lines(t), _addresses(t)]
    odds = reduce(mul, [factor for factor, _ in grades], ibis.literal(SECOND_ENTRY))
    words = ibis.array([said for _, said in grades])
    return t.select("l", "r", odds=odds, said=words.filter(lambda word: word != "").join(", "))


def _graded(*levels: tuple[ibis.Value, float | ibis.Value, str], other: tuple[float, str]) -> _Grade:
    """Factor and words of the first level that holds."""
    factor = [(holds, value if isinstance(value, ibis.Value) else ibis.literal(value)) for holds, value, _ in levels]
    said = [(holds, ibis.literal(words)) for holds, _, words in levels]
    return ibis.cases(*factor, else_=ibis.literal(other[0])), ibis.cases(*said, else_=ibis.literal(other[1]))


def _names(t: ibis.Table) -> _Grade:
    return _graded(
        (t.a_whole == t.b_whole, SAME_NAME / t.a_rarity, "same name"),
        (_close(t), CLOSE_NAME / CLOSE_BY_CHANCE, "name nearly the same"),
        other=(OTHER_NAME, "another name"),
    )


def _close(t: ibis.Table) -> ibis.Value:
    short = t.a_first.startswith(t.b_first) | t.b_first.startswith(t.a_first)
    return _slip(t.a_last, t.b_last) & (short | _slip(t.a_first, t.b_first))


def _slip(a: ibis.Value, b: ibis.Value) -> ibis.Value:
    """Equal but for one letter more, less or other, in names long enough to tell."""
    return (a == b) | ((ibis.least(a.length(), b.length()) >= 5) & (a.levenshtein(b) <= 1))


def _companies(t: ibis.Table) -> _Grade:
    return _graded(
        (t.a_company == t.b_company, SAME_COMPANY / ibis.greatest(t.a_staff - 1, 1), "same company"),
        (t.a_company.isnull() | t.b_company.isnull(), 1.0, ""),
        other=(OTHER_COMPANY, "another company"),
    )


def _lines(t: ibis.Table) -> _Grade:
    """A common telephone. Who has it by chance: whoever else has it, or, of colleagues, whoever shares a line."""
    same = t.having.notnull()
    return _graded(
        (same & (t.a_company == t.b_company), SAME_PHONE / COLLEAGUES_ON_ONE_LINE, "same telephone"),
        (same, SAME_PHONE / ibis.greatest(t.having - 1, 1), "same telephone"),
        (t.a_phone.isnull() | t.b_phone.isnull(), 1.0, ""),
        other=(OTHER_PHONE, "another telephone"),
    )


def _addresses(t: ibis.Table) -> _Grade:
    """Only of one employer's domain and one name: where the names differ, so must the addresses."""
    same = (t.a_domain == t.b_domain) & (t.a_whole == t.b_whole) & (t.a_local != t.b_local)
    numbered = t.a_local.re_replace(r"[0-9]+", "") == t.b_local.re_replace(r"[0-9]+", "")
    return _graded(
        (~same.fill_null(False), 1.0, ""),
        (numbered, NAMESAKES_ADDRESS, "addresses that differ by a number"),
        (t.a_local.levenshtein(t.b_local) <= 2, SLIP_IN_ADDRESS, "addresses that differ by a slip"),
        other=(OTHER_ADDRESS, "other addresses"),
    )


RULES = (
    Rule(
        "I-02", "Probably one person", "S3", "A person entered twice is mailed twice, worked twice and counted twice.",
        probable_duplicates, question="Are they one person? If so, merge them, or `tundish link` them; if not, accept the finding.",
        example="Robert Miller and Bob Miller, two contacts of one company in Salesforce, have the same mobile number and different "
        "addresses.",
        exact="Two live persons of one account share a telephone number or a company, and the probability that they are one, by "
        "likeness of names, addresses and numbers, is at least `duplicate_probability`; numbers of more than "
        "`shared_phone_persons` persons are no evidence. Or addresses and browsers make one person of more than `component_records` live "
        "records, or a single one of them joins two groups of `bridge_records` live records, and was not believed there.",
    ),
)  # fmt: skip
