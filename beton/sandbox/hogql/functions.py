"""The functions HogQL allows. A name that is not here is refused, as PostHog does, with its nearest neighbour."""

from __future__ import annotations

from difflib import get_close_matches

from beton.sandbox.hogql.aggregates import AGGREGATES
from beton.sandbox.hogql.errors import HogQLError
from beton.sandbox.hogql.signature import Signature

# By "least-most" arguments ("n": no bound). `name=clickhouse` renames; a trailing `*` makes the name case-insensitive.
_FUNCTIONS = {
    "0-0": """e pi rand rowNumberInBlock rowNumberInAllBlocks rank dense_rank row_number yesterday today current_date=today
        current_timestamp=now64""",
    "0-1": "now=now64*",
    "0-n": "array tuple map",
    "1-1": """negate abs* empty notEmpty isEmpty=empty isNotEmpty=notEmpty length* reverse* arrayEnumerate arrayPopBack arrayPopFront
        arrayJoin arrayDifference arrayDistinct arrayEnumerateDense arrayReverse arrayFlatten arrayCompact arrayProduct
        not* hex unhex reinterpretAsUInt8 reinterpretAsUInt16 reinterpretAsUInt32 reinterpretAsUInt64 reinterpretAsUInt128
        reinterpretAsUInt256 reinterpretAsInt8 reinterpretAsInt16 reinterpretAsInt32 reinterpretAsInt64 reinterpretAsInt128
        reinterpretAsInt256 reinterpretAsFloat32 reinterpretAsFloat64 reinterpretAsUUID
        toInt=accurateCastOrNull({},'Int64') toIntOrZero=toInt64OrZero _toInt8=toInt8 _toInt16=toInt16 _toInt32=toInt32 _toInt64=toInt64
        _toUInt64=toUInt64 _toUInt128=toUInt128 toFloat=accurateCastOrNull({},'Float64') toFloatOrZero=toFloat64OrZero _toDate=toDate
        toUUID=accurateCastOrNull({},'UUID') toNullableString=accurateCastOrNull({},'Nullable(String)') toBool toJSONString toTypeName
        cityHash64 UUIDv7ToDateTime isnull=isNull* isNotNull assumeNotNull toNullable
        timeZoneOf timeZoneOffset toYear toQuarter toMonth toDayOfYear toDayOfMonth toHour toMinute toSecond toUnixTimestamp64Milli
        fromUnixTimestamp64Milli toStartOfYear toStartOfISOYear toStartOfQuarter toStartOfMonth toLastDayOfMonth toMonday
        toStartOfHour toStartOfMinute toStartOfSecond toStartOfFiveMinutes toStartOfTenMinutes toStartOfFifteenMinutes toTime toISOYear
        toISOWeek nowInBlock timeSlot toYYYYMM toYYYYMMDD toYYYYMMDDhhmmss monthName fromUnixTimestamp
        toModifiedJulianDay=toModifiedJulianDayOrNull fromModifiedJulianDay=fromModifiedJulianDayOrNull
        toIntervalSecond toIntervalMinute toIntervalHour toIntervalDay toIntervalWeek toIntervalMonth toIntervalQuarter toIntervalYear
        toDate to_date=toDate isValidJSON exp* log* ln* exp2 log2* exp10 log10* sqrt* cbrt erf erfc lgamma tgamma sin* cos* tan* asin*
        acos* atan* intExp2 intExp10 cosh acosh sinh asinh atanh log1p sign* degrees* radians* factorial* roundToExp2 roundDuration
        roundAge lengthUTF8 lower* upper* lowerUTF8 upperUTF8 isValidUTF8 toValidUTF8 reverseUTF8 base58Encode base58Decode
        tryBase58Decode base64Encode base64Decode tryBase64Decode encodeXMLComponent decodeXMLComponent extractTextFromHTML ascii*
        regexpQuoteMeta tokens initcap mapKeys mapValues bitNot bitCount bitmapBuild bitmapToArray bitmapCardinality bitmapMin bitmapMax
        protocol domain domainWithoutWWW topLevelDomain firstSignificantSubdomain cutToFirstSignificantSubdomain
        cutToFirstSignificantSubdomainWithWWW path pathFull queryString fragment queryStringAndFragment extractURLParameters
        extractURLParameterNames URLHierarchy URLPathHierarchy encodeURLComponent decodeURLComponent encodeURLFormComponent
        decodeURLFormComponent netloc cutWWW cutQueryString cutFragment cutQueryStringAndFragment untuple tupleToNameValuePairs
        tupleNegate isFinite isInfinite isNaN formatReadableDecimalSize formatReadableSize formatReadableQuantity indexHint
        extractIPv4Substrings L1Norm L2Norm LinfNorm L1Normalize L2Normalize LinfNormalize first_value last_value""",
    "1-2": """arrayMin arrayMax arraySum arrayAvg arrayStringConcat toString toUnixTimestamp toStartOfWeek toStartOfDay toLastDayOfWeek
        toDateTime=parseDateTime64BestEffortOrNull parseDateTimeBestEffort=parseDateTime64BestEffortOrNull
        toDateTimeUS=parseDateTime64BestEffortUSOrNull toFloatOrDefault=toFloat64OrDefault floor* ceil* trunc* round* roundBankers
        splitByWhitespace splitByNonAlpha alphaTokens ltrim=trimLeft trimLeft rtrim=trimRight trimRight btrim=trim trim* port
        formatReadableTimeDelta toTimeZone to_timestamp=toDateTime(fromUnixTimestamp({}))""",
    "1-3": """range toDayOfWeek toWeek toYearWeek toDateTime64 mapPopulateSeries JSONExtractKeysAndValues tumbleStart tumbleEnd hopStart
        hopEnd lagInFrame leadInFrame lag=lagInFrame lead=leadInFrame""",
    "1-n": """arrayCount arraySort arrayReverseSort=arraySort arrayUniq arrayIntersect arrayExists arrayAll arrayCumSum
        arrayCumSumNonNegative coalesce* JSONHas JSONLength JSONArrayLength JSONType JSONExtractUInt JSONExtractInt JSONExtractFloat
        JSONExtractBool JSONExtractString JSONExtractKey JSONExtractKeys JSONExtractRaw JSONExtractArrayRaw JSONExtractKeysAndValuesRaw""",
    "2-2": """plus minus multiply divide intDiv intDivOrZero modulo moduloOrZero positiveModulo gcd lcm max2* min2* arrayElement has hasAll
        hasAny hasSubstr indexOf countEqual arrayPushBack arrayPushFront arrayAUC arrayWithConstant arrayRotateLeft arrayRotateRight
        equals notEquals less greater lessOrEquals greaterOrEquals in notIn toDecimal toUUIDOrDefault ifnull=ifNull* nullif=nullIf*
        timeStampAdd timeStampSub addYears addMonths addWeeks addDays addHours addMinutes addSeconds addQuarters subtractYears
        subtractMonths subtractWeeks subtractDays subtractHours subtractMinutes subtractSeconds subtractQuarters dateName
        date_add=plus date_subtract=minus pow* power* atan2 hypot roundDown left=leftUTF8 right=rightUTF8 appendTrailingCharIfAbsent
        endsWith startsWith match multiMatchAny multiMatchAnyIndex multiMatchAllIndices extract* extractAll extractAllGroupsHorizontal
        extractAllGroupsVertical extractGroups like ilike notLike notILike ngramDistance ngramDistanceCaseInsensitive ngramDistanceUTF8
        ngramDistanceCaseInsensitiveUTF8 ngramSearch ngramSearchCaseInsensitive ngramSearchUTF8 ngramSearchCaseInsensitiveUTF8
        multiSearchAllPositions multiSearchAllPositionsUTF8 multiSearchFirstPosition multiSearchFirstIndex multiSearchAny
        multiSearchAllPositionsCaseInsensitive multiSearchAllPositionsCaseInsensitiveUTF8 multiSearchAnyUTF8
        multiSearchAnyCaseInsensitive multiSearchAnyCaseInsensitiveUTF8 multiSearchFirstIndexUTF8 multiSearchFirstIndexCaseInsensitive
        multiSearchFirstPositionUTF8 multiSearchFirstPositionCaseInsensitive countMatches countMatchesCaseInsensitive hasSubsequence
        hasSubsequenceCaseInsensitive hasSubsequenceUTF8 hasSubsequenceCaseInsensitiveUTF8 hasToken hasTokenCaseInsensitive
        hasTokenOrNull hasTokenCaseInsensitiveOrNull hasAllTokens hasAnyTokens extractAllGroups ngrams repeat mapFromArrays mapContains
        mapContainsKeyLike mapExtractKeyLike mapApply mapFilter mapUpdate bitAnd bitOr bitXor bitShiftLeft bitShiftRight bitRotateLeft
        bitRotateRight bitTest bitHammingDistance bitmapContains bitmapHasAny bitmapHasAll bitmapAnd bitmapOr bitmapXor bitmapAndnot
        bitmapAndCardinality bitmapOrCardinality bitmapXorCardinality bitmapAndnotCardinality extractURLParameter cutURLParameter
        tupleHammingDistance tuplePlus tupleMinus tupleMultiply tupleDivide tupleMultiplyByNumber tupleDivideByNumber dotProduct
        ifNotFinite least* greatest* tumble LpNorm L1Distance L2Distance LinfDistance LpNormalize cosineDistance nth_value
        timezone=toTimeZone({1},{0})""",
    "2-3": """arrayResize arraySlice multiplyDecimal divideDecimal toStartOfInterval dateAdd dateSub timeSlots formatDateTime
        to_char=formatDateTime date_trunc=dateTrunc dateTrunc leftPad rightPad leftPadUTF8 rightPadUTF8 position*
        positionCaseInsensitive positionUTF8 positionCaseInsensitiveUTF8 locate countSubstrings countSubstringsCaseInsensitive
        countSubstringsCaseInsensitiveUTF8 regexpExtract splitByChar splitByString splitByRegexp tupleElement
        parseDateTime=parseDateTimeOrNull""",
    "2-n": """arrayConcat arrayEnumerateUniq arrayReduce arrayFilter arrayZip arrayMap arrayFill arraySplit arrayReverseFill
        arrayReverseSplit arrayFirst arrayLast arrayFirstIndex arrayLastIndex and or xor JSONExtract JSON_VALUE format concat*
        concatWithSeparator mapAdd mapSubtract""",
    "3-3": """if* age date_diff=dateDiff dateDiff date_bin=toStartOfInterval({1},{0},{2}) make_date=makeDate substring* substringUTF8
        convertCharset multiFuzzyMatchAny multiFuzzyMatchAnyIndex multiFuzzyMatchAllIndices replace* replaceAll replaceOne
        replaceRegexpAll replaceRegexpOne translate translateUTF8 lpad rpad split_part=splitByString({1},{0})[{2}] bitSlice
        bitmapSubsetInRange bitmapSubsetLimit subBitmap bitmapTransform hop LpDistance generateSeries=generate_series""",
    "3-4": "transform",
    "3-n": "arrayFold multiIf bitTestAll bitTestAny",
    "4-4": "bar width_bucket=widthBucket",
    "4-n": "_caseWithExpression=caseWithExpression",
    "6-7": "make_timestamp=makeDateTime",
}
# Expanded from HogQL by `expansions.py`.
_EXPANDED = {"getSurveyResponse": (1, 3), "uniqueSurveySubmissionsFilter": (1, 1)}
_ZONED_NAMES = """
    toDateTime toDateTime64 toDateTimeUS parseDateTime parseDateTimeBestEffort UUIDv7ToDateTime now current_timestamp to_timestamp
    toTimeZone make_timestamp
"""
_ZONED = frozenset(_ZONED_NAMES.split())
_KINDS = {
    "DateTime": """toDateTime toDateTime64 toDateTimeUS parseDateTime parseDateTimeBestEffort now current_timestamp UUIDv7ToDateTime
        toStartOfDay toStartOfHour toStartOfMinute toStartOfSecond toStartOfFiveMinutes toStartOfTenMinutes toStartOfFifteenMinutes
        fromUnixTimestamp fromUnixTimestamp64Milli toTimeZone to_timestamp make_timestamp timezone""",
    "Date": """toDate to_date today yesterday current_date toStartOfWeek toStartOfMonth toStartOfQuarter toStartOfYear toMonday
        toLastDayOfMonth make_date""",
    "Integer": """toInt length toUnixTimestamp toUnixTimestamp64Milli dateDiff date_diff toYear toMonth toHour toDayOfWeek toDayOfMonth
        toYYYYMM toYYYYMMDD cityHash64 indexOf JSONExtractInt JSONExtractUInt position toMinute toSecond toIntOrZero intDiv""",
    "Float": "toFloat toFloatOrZero JSONExtractFloat round divide",
    "String": """toString concat lower upper substring JSONExtractString JSONExtractRaw replaceAll replaceOne replaceRegexpAll trim hex
        formatDateTime arrayStringConcat toJSONString domain path extract replace left right""",
    "Boolean": "JSONHas and or not in notIn toBool empty notEmpty isnull isNotNull equals notEquals less greater like ilike match has",
    "UUID": "toUUID",
}
_MAKES_NULL_NAMES = """
    toInt toFloat toUUID toDecimal toNullableString toDateTimeUS parseDateTime parseDateTimeBestEffort nullif toNullable hasTokenOrNull
    toModifiedJulianDay fromModifiedJulianDay lag lead
"""
_MAKES_NULL = frozenset(_MAKES_NULL_NAMES.split())
_NEVER_NULL_NAMES = """
    isnull isNotNull assumeNotNull toTypeName tuple array map now today yesterday toJSONString arrayMap arrayFilter
"""
_NEVER_NULL = frozenset(_NEVER_NULL_NAMES.split())


def _table() -> dict[str, Signature]:
    kinds = {name: kind for kind, names in _KINDS.items() for name in names.split()}
    table: dict[str, Signature] = {}
    for bounds, names in _FUNCTIONS.items():
        least, most = bounds.split("-")
        for item in names.split():
            name, _, clickhouse = item.removesuffix("*").partition("=")
            table[name] = Signature(
                clickhouse=clickhouse or name,
                least=int(least),
                most=None if most == "n" else int(most),
                any_case=item.endswith("*"),
                zone=name in _ZONED,
                kind=kinds.get(name, ""),
                never_null=name in _NEVER_NULL,
                makes_null=name in _MAKES_NULL,
            )
    for name, (least_args, most_args) in _EXPANDED.items():
        table[name] = Signature(clickhouse="", least=least_args, most=most_args, makes_null=True)
    return table


FUNCTIONS = _table()


def find_signature(name: str) -> Signature:
    """The signature under this exact name, or under its lower-case form where PostHog ignores case. Raises HogQLError."""
    for table in (AGGREGATES, FUNCTIONS):
        found = table.get(name)
        if found is not None:
            return found
        lowered = table.get(name.lower())
        if lowered is not None and lowered.any_case:
            return lowered
    exposed = [known for known in [*FUNCTIONS, *AGGREGATES] if not known.startswith("_")]
    near = get_close_matches(name, exposed, 1)
    hint = f" Perhaps you meant '{near[0]}(...)'?" if near else ""
    raise HogQLError(f"Unsupported function call '{name}(...)'." + hint if near else f"Unsupported function call '{name}(...)'")


def is_aggregate(name: str) -> bool:
    """Whether a call by this name is an aggregation."""
    return name in AGGREGATES or (name.lower() in AGGREGATES and AGGREGATES[name.lower()].any_case)


def check_arguments(name: str, signature: Signature, arguments: int, parameters: int | None) -> None:
    """PostHog's texts for a wrong number of arguments, or an aggregation without its parameters."""
    term = "Aggregation" if signature.aggregate else "Function"
    if signature.least_params and not parameters:
        raise HogQLError(f"{term} '{name}' requires parameters in addition to arguments")
    if signature.least_params and parameters:
        _check_count(term, name, "parameter", parameters, signature.least_params, signature.most_params)
    _check_count(term, name, "argument", arguments, signature.least, signature.most)


def _check_count(term: str, name: str, what: str, found: int, least: int, most: int | None) -> None:
    few, many = found < least, most is not None and found > most
    if not few and not many:
        return
    if least == most:
        bound, number = "", least
    elif few:
        bound, number = "at least ", least
    else:
        bound, number = "at most ", most or 0
    plural = "" if number == 1 else "s"
    raise HogQLError(f"{term} '{name}' expects {bound}{number} {what}{plural}, found {found}")
