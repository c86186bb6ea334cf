"""Google's own client reads the emulator: what it takes for a reply, ours may take for one too."""

from __future__ import annotations

import os
from typing import Any

import pytest
from ga4_property import DAYS, Property, served

try:
    from google.analytics import data_v1beta as data
    from google.analytics.data_v1beta.services.beta_analytics_data.transports import BetaAnalyticsDataRestTransport
except ImportError:
    if os.environ.get("CI") == "true":
        raise
    pytest.skip("google-analytics-data is not installed: pip install tundish[conformance]", allow_module_level=True)


def client(ga4: Property) -> Any:
    from google.oauth2.credentials import Credentials

    host = ga4.url.removeprefix("http://")
    credentials = Credentials(ga4.token("analytics.readonly"))  # type: ignore[no-untyped-call]
    return data.BetaAnalyticsDataClient(transport=BetaAnalyticsDataRestTransport(host=host, url_scheme="http", credentials=credentials))


def request(**more: Any) -> Any:
    return data.RunReportRequest(
        property="properties/314159265",
        dimensions=[data.Dimension(name="date"), data.Dimension(name="sessionSource")],
        metrics=[data.Metric(name="sessions"), data.Metric(name="engagementRate")],
        date_ranges=[data.DateRange(start_date=DAYS["startDate"], end_date=DAYS["endDate"])],
        order_bys=[data.OrderBy(dimension=data.OrderBy.DimensionOrderBy(dimension_name="date"))],
        return_property_quota=True,
        **more,
    )


def test_googles_client_reads_reports_pages_and_quotas() -> None:
    with served() as ga4:
        whole = client(ga4).run_report(request())
        first = client(ga4).run_report(request(limit=2))
        assert (first.row_count, len(first.rows)) == (whole.row_count, 2)
        assert whole.row_count == len(whole.rows) > 2
        assert [h.type_.name for h in whole.metric_headers] == ["TYPE_INTEGER", "TYPE_FLOAT"]
        assert (whole.metadata.time_zone, whole.metadata.currency_code) == ("Europe/Berlin", "EUR")
        assert 0 < whole.property_quota.tokens_per_day.remaining < 200_000


def test_googles_client_reads_batches_fields_and_compatibility() -> None:
    with served() as ga4:
        found = client(ga4).batch_run_reports(
            data.BatchRunReportsRequest(property="properties/314159265", requests=[request(), request(limit=1)])
        )
        assert [len(r.rows) > 1 for r in found.reports] == [True, False]
        fields = client(ga4).get_metadata(name="properties/314159265/metadata")
        assert "conversions" in {old for m in fields.metrics for old in m.deprecated_api_names}
        asked = data.CheckCompatibilityRequest(
            property="properties/314159265", dimensions=[data.Dimension(name="itemName")], metrics=[data.Metric(name="sessions")]
        )
        words = {c.compatibility.name for c in client(ga4).check_compatibility(asked).metric_compatibilities}
        assert words == {"INCOMPATIBLE"}


def test_googles_client_sees_refusals_as_its_own_errors() -> None:
    from google.api_core.exceptions import BadRequest, Forbidden, TooManyRequests

    with served() as ga4:
        with pytest.raises(BadRequest, match="not a valid metric"):
            client(ga4).run_report(data.RunReportRequest(property="properties/314159265", metrics=[data.Metric(name="nope")]))
        with pytest.raises(Forbidden):
            client(ga4).run_report(data.RunReportRequest(property="properties/1", metrics=[data.Metric(name="sessions")]))
        ga4.emulator.knob("tokensPerHour", 0)
        with pytest.raises(TooManyRequests, match="per hour"):
            client(ga4).run_report(request())
