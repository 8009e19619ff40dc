"""Is one card holding the others up, which one, and for which reason of its own?"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import frame
from dashboards.limits import Limits
from dashboards.palette import BAD, GOOD, UNKNOWN, judged, numbered, thresholds
from dashboards.panels import Panel, bands, bars, lines, tile
from dashboards.queries import Query, limit, metric, rate, reading
from dashboards.tables import rows

EACH = "GPU {{gpu}}"


def each(name: str) -> Query:
    return Query(metric(name), EACH)


def now(limits: Limits) -> list[Panel]:
    readable = metric("watchtower_gpu_readable")
    hottest = f"max({metric('watchtower_gpu_temperature_celsius')})"
    return [
        tile(
            "Hardware source",
            "Can the driver (NVML, DCGM) be read at all? Without it nothing here is known.",
            Query(metric("watchtower_gpu_source_up")),
            width=4,
            states=numbered([("UNREADABLE", BAD), ("READABLE", GOOD)]),
        ),
        tile(
            "GPUs unreadable",
            "Cards whose utilization cannot be read now.",
            Query(f"count({readable}) - sum({readable})"),
            decimals=0,
            width=4,
            judge=thresholds((None, UNKNOWN), (0, GOOD), (1, BAD)),
        ),
        tile(
            "Utilization spread",
            "Range of the ranks' mean utilization in one group; red from the rules' limit on.",
            Query(reading("gpu_utilization.spread")),
            unit="percentunit",
            decimals=1,
            width=4,
            judge=judged(limits["gpu_utilization.spread"]),
        ),
        tile(
            "Straggler score",
            "Worst deviation of one card from its peers; 1 is the bound of what is allowed.",
            Query(reading("gpu_straggler.score")),
            decimals=2,
            width=4,
            judge=judged(limits["gpu_straggler.score"]),
        ),
        tile("Hottest", "Temperature of the hottest GPU.", Query(hottest), unit="celsius", decimals=0, width=4),
        tile(
            "Power",
            "What all GPUs draw together.",
            Query(f"sum({metric('watchtower_gpu_power_watts')})"),
            unit="watt",
            decimals=0,
            width=4,
        ),
    ]


def balance() -> list[Panel]:
    return [
        lines(
            "Utilization",
            "Which rank works more or less than the others? A rank that waits in a collective reads busy.",
            each("watchtower_gpu_utilization_ratio"),
            unit="percentunit",
            high=1,
            table=True,
        ),
        lines(
            "Spread and dispersion",
            "Spread between ranks is judged; dispersion in time is bursty traffic, and healthy.",
            Query(reading("gpu_utilization.spread"), "spread", "blue"),
            Query(reading("gpu_utilization.dispersion"), "dispersion", "purple"),
            limit("gpu_imbalance"),
            unit="percentunit",
        ),
    ]


def straggler() -> list[Panel]:
    throttled = "watchtower_gpu_throttled_seconds_total"
    return [
        lines(
            "Straggler score",
            "One card slower than its peers for a reason of its own; the rows below show the reason.",
            Query(reading("gpu_straggler.score"), "score", "blue"),
            limit("gpu_straggler"),
            unit="none",
            width=8,
        ),
        lines(
            "SM clock",
            "A card held down runs slower than its peers.",
            each("watchtower_gpu_sm_clock_hertz"),
            unit="hertz",
            width=8,
        ),
        lines(
            "Held down, by reason",
            "Share of the time in which a reason held the clocks down; power_cap is normal at full load.",
            Query(
                f"clamp_max({rate(throttled)}, 1) and increase({metric(throttled)}[$__range]) > 0", EACH + " {{reason}}"
            ),
            unit="percentunit",
            width=8,
            high=1,
            missing="no card is known to be held down",
        ),
    ]


def body() -> list[Panel]:
    used, total = metric("watchtower_gpu_memory_used_bytes"), metric("watchtower_gpu_memory_total_bytes")
    return [
        lines(
            "Temperature",
            "Heat comes before throttling.",
            each("watchtower_gpu_temperature_celsius"),
            unit="celsius",
            width=8,
            low=None,
        ),
        lines(
            "Power",
            "Draw of each card, and the limit that is enforced.",
            each("watchtower_gpu_power_watts"),
            Query(f"max({metric('watchtower_gpu_power_limit_watts')})", "limit", "red", dashed=True),
            unit="watt",
            width=8,
        ),
        lines(
            "Memory in use",
            "Of what there is, each card.",
            Query(f"{used} / {total}", EACH),
            unit="percentunit",
            width=8,
            high=1,
        ),
        lines(
            "SM active",
            "Utilization says that a kernel runs, this says how much of the card it uses (GPM or DCGM).",
            each("watchtower_gpu_sm_active_ratio"),
            unit="percentunit",
            width=8,
            high=1,
        ),
        lines(
            "Memory bandwidth",
            "Decoding is bound by it (GPM or DCGM).",
            each("watchtower_gpu_dram_active_ratio"),
            unit="percentunit",
            width=8,
            high=1,
        ),
        lines(
            "Errors of links and memory",
            "All cards together: a card that repeats itself is slow before it is dead. The rule names the card.",
            Query(f"sum({rate('watchtower_gpu_nvlink_errors_total')})", "NVLink", "blue"),
            Query(f"sum({rate('watchtower_gpu_pcie_replays_total')})", "PCIe", "purple"),
            Query(f"sum({rate('watchtower_gpu_ecc_corrected_errors_total')})", "ECC corrected", "orange"),
            Query(f"sum({rate('watchtower_gpu_ecc_uncorrected_errors_total')})", "ECC uncorrected", "red"),
            unit="suffix:/s",
            width=8,
        ),
    ]


def cards() -> list[Panel]:
    return [
        bands(
            "Readable",
            "A wedged driver shows here: from then on the other panels know nothing of that card.",
            each("watchtower_gpu_readable"),
            states=numbered([("UNREADABLE", BAD), ("READABLE", GOOD)]),
            width=5,
            height=7,
        ),
        rows(
            "Cards",
            "Which card is GPU 3? The UUID is its name for good; the index holds until the next boot.",
            Query(metric("watchtower_gpu_info")),
            columns={"gpu": "GPU", "name": "Name", "uuid": "UUID", "source": "Read by"},
            width=8,
            height=7,
        ),
        bars(
            "Xids in this time range",
            "What the driver complained about, by card and kind; one that is fatal ends the card's work.",
            Query(
                f"sum by (gpu, kind) (increase({metric('watchtower_gpu_xids_total')}[$__range])) > 0",
                EACH + " {{kind}}",
            ),
            unit="short",
            width=4,
            height=7,
            missing="no Xid is known",
        ),
        bands(
            "Placement",
            "Does the hardware look as `placement` expects it? One row a stage and question; `watchtower placement` "
            "names the cards.",
            Query(f"sgn({metric('watchtower_placement_mismatch')})", "{{stage}} {{question}}"),
            states={0: ("AS EXPECTED", GOOD), 1: ("MISMATCH", BAD)},
            width=7,
            height=7,
            missing="nothing is expected",
        ),
    ]


def dashboard(limits: Limits) -> Dashboard:
    return frame.assemble(
        frame.GPU,
        "GPU",
        "Is one card holding the others up, which one, and for which reason of its own?",
        [
            ("Now", now(limits)),
            ("Do all ranks work alike?", balance()),
            ("Is one card slower than its peers?", straggler()),
            ("Each card", body()),
            ("Which is which", cards()),
        ],
    )
