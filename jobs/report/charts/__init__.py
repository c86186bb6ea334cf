"""Charts of a report: one module per family, each a pure function from metric rows to a Vega-Lite specification.

They are drawn without a browser (`jobs.report.charts.draw`). What is in a report, and in which order, is `jobs.report.views`.
"""
