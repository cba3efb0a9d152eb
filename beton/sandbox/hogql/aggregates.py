"""Aggregations HogQL allows: arguments, parameters, the ClickHouse text."""

from __future__ import annotations

from beton.sandbox.hogql.signature import Signature

# name[=clickhouse template] by "least-most" arguments; "n" is no upper bound.
_PLAIN = {
    "0-1": "count countState",
    "1-1": """min max sum avg any anyHeavy anyLast stddevPop stddevSamp varPop varSamp median medianExact medianExactLow medianExactHigh
        medianTiming medianTDigest medianBFloat16 groupArray array_agg=groupArray groupUniqArray groupBitAnd groupBitOr groupBitXor
        groupBitmap groupBitmapState groupBitmapAnd groupBitmapOr groupBitmapXor sumWithOverflow deltaSum skewSamp skewPop kurtSamp
        kurtPop countDistinct countMerge sumMerge avgMerge uniqMerge sumState avgState uniqState uniqMap avgMap argMinMerge
        argMaxMerge sumForEach minForEach maxForEach avgForEach avgArray=avgArrayOrNull medianArray=medianArrayOrNull
        groupArrayMovingAvg groupArrayMovingSum md5=hex(MD5({})) json_agg=toJSONString(groupArray({})) every=toBool(min({}))
        minState maxState minMerge maxMerge medianExactWeighted medianTimingWeighted medianTDigestWeighted medianDeterministic""",
    "1-2": "sumMap minMap maxMap countIf countDistinctIf",
    "1-n": "uniq uniqExact uniqHLL12 uniqTheta uniqExactState uniqExactMerge",
    "1-99": "windowFunnel",
    "2-2": """minIf maxIf sumIf avgIf anyIf anyHeavyIf anyLastIf stddevPopIf stddevSampIf varPopIf varSampIf medianIf medianExactIf
        medianExactLowIf medianExactHighIf medianTimingIf medianTDigestIf groupArrayIf groupUniqArrayIf groupBitAndIf groupBitOrIf
        groupBitXorIf groupBitmapIf groupBitmapAndIf groupBitmapOrIf groupBitmapXorIf sumWithOverflowIf deltaSumIf skewSampIf
        skewPopIf kurtSampIf kurtPopIf covarPop covarSamp corr argMin argMax argMinState argMaxState avgWeighted groupArrayInsertAt
        deltaSumTimestamp simpleLinearRegression contingency cramersV cramersVBiasCorrected theilsU maxIntersections
        maxIntersectionsPosition sumMergeIf sumStateIf avgMergeIf avgStateIf uniqMergeIf uniqStateIf groupArrayMovingAvgIf
        groupArrayMovingSumIf string_agg=arrayStringConcat(groupArray({}),{})""",
    "2-3": "sumMapIf minMapIf maxMapIf avgMapIf countMapIf",
    "2-n": "uniqIf uniqExactIf uniqHLL12If uniqThetaIf",
    "3-3": """covarPopIf covarSampIf argMinIf argMaxIf avgWeightedIf groupArrayInsertAtIf deltaSumTimestampIf simpleLinearRegressionIf
        contingencyIf cramersVIf cramersVBiasCorrectedIf theilsUIf maxIntersectionsIf maxIntersectionsPositionIf""",
}
# Those that are refused without parameters, with the least and most number of parameters.
_WITH_PARAMETERS = {
    "quantile": (1, 1, 1, 1),
    "quantileIf": (2, 2, 1, 1),
    "quantileExact": (1, 1, 1, 1),
    "quantilesIf": (2, 2, 1, 1),
    "topK": (1, 1, 1, 1),
    "groupArraySample": (1, 1, 1, 2),
    "groupArraySampleIf": (2, 2, 1, 2),
}
_ANY_CASE = {"count", "min", "max", "sum", "avg"}
_NEVER_NULL = {"count", "countIf", "countDistinct", "countDistinctIf", "uniq", "uniqIf", "uniqExact", "uniqExactIf", "windowFunnel"}
_COMBINABLE = ("avg", "sum", "min", "max", "count", "countDistinct", "median")
# A combinator, the arguments it adds, and the combinators that may follow it.
_COMBINATORS: dict[str, tuple[int, tuple[str, ...]]] = {
    "If": (1, ()),
    "Array": (0, ("If", "OrDefault", "OrNull")),
    "Map": (0, ("If", "OrDefault", "OrNull")),
    "ForEach": (0, ("If", "OrDefault", "OrNull")),
    "OrDefault": (0, ("If",)),
    "OrNull": (0, ("If",)),
    "ArgMin": (1, ("If", "OrDefault", "OrNull")),
    "ArgMax": (1, ("If", "OrDefault", "OrNull")),
}


def _plain() -> dict[str, Signature]:
    table: dict[str, Signature] = {}
    for bounds, names in _PLAIN.items():
        least, most = bounds.split("-")
        for item in names.split():
            name, _, clickhouse = item.partition("=")
            table[name] = Signature(
                clickhouse=clickhouse or name,
                least=int(least),
                most=None if most == "n" else int(most),
                aggregate=True,
                any_case=name in _ANY_CASE,
                never_null=name in _NEVER_NULL or name.startswith("group"),
            )
    return table


def _combined(base: Signature, name: str, follow: tuple[str, ...]) -> dict[str, Signature]:
    table: dict[str, Signature] = {}
    for suffix in follow:
        extra, further = _COMBINATORS[suffix]
        most = None if base.most is None else base.most + extra
        longer = Signature(clickhouse=name + suffix, least=base.least + extra, most=most, aggregate=True, never_null=base.never_null)
        table[name + suffix] = longer
        table.update(_combined(longer, name + suffix, tuple(item for item in further if item not in name)))
    return table


def _all() -> dict[str, Signature]:
    plain = _plain()
    table: dict[str, Signature] = {}
    for name in _COMBINABLE:
        table.update(_combined(plain[name], name, tuple(_COMBINATORS)))
    table.update(plain)
    for name, (least, most, params, most_params) in _WITH_PARAMETERS.items():
        table[name] = Signature(clickhouse=name, least=least, most=most, least_params=params, most_params=most_params, aggregate=True)
    table["quantiles"] = Signature(clickhouse="quantiles", least=1, most=None, aggregate=True, never_null=True)
    return table


AGGREGATES = _all()
