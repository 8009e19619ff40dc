"""The words and their meanings, in the order of the data path. ``docs/words.md`` is generated from here."""

from __future__ import annotations

WORDS: dict[str, str] = {
    "target": "One serving engine with everything that restarts together: a tensor-parallel group, never one rank.",
    "exchange": "One request and its answer, as seen on the wire.",
    "fact": "A typed, time-stamped event: from the relay, an engine scrape, a canary, the adapter. It says what was "
    "seen, never what it means.",
    "signal": "A measured quantity, such as the inter-token latency.",
    "inter-token latency": "The gap between two reads that carried tokens, divided by the tokens of the second. "
    "The first token has a time to first token instead.",
    "time to first token": "From the request's last byte to the read that carried the first token.",
    "stall": "The longest raw gap between two reads that carried tokens.",
    "estimated": "The engine gave no exact token counts, so a piece of text is one token, or as many as were learned.",
    "window": "The last so many seconds of a signal, of one incarnation only.",
    "reading": "A number over a window with its confidence band, or UNKNOWN and why. A reading has no verdict.",
    "band": "95 % confidence band of a reading: Woodruff's interval over clusters of one second or one request.",
    "rank": "One GPU of a tensor-parallel group, with the worker process that drives it.",
    "spread": "Range of the ranks' mean utilization over one window. Only ranks of one group are compared, and only "
    "while the engine is at work.",
    "straggler": "A rank that its peers wait for. Waiting GPUs spin and read busy, so clocks, throttling, power, links "
    "and memory tell it, not utilization.",
    "placement": "What the operator expects the hardware to be: model, ranks, links, power limit, by stage.",
    "verdict": "Of a rule and its readings: OK, BREACH or UNKNOWN. No data is neither good news nor bad news.",
    "rule": "A condition on readings, how long it must hold, what may excuse it, and what cure it asks for.",
    "firing": "A rule whose BREACH has held for its `for:`.",
    "baseline": "What was normal while nothing was wrong, conditioned on load.",
    "incident": "What is wrong with one target: rules join it as symptoms. One page, one dedup key, one action at a "
    "time.",
    "held": "An incident whose cure waits; every reason is named.",
    "gate": "One reason that can refuse an action. It returns a permit or a sentence.",
    "checkpoint": "The weights: declared (a directory), observed (a digest over the engine's own checksums), blessed "
    "(known to be good: what a rollback brings back), or on trial (in memory, and nobody has blessed them).",
    "verb": "What can be done: reload_in_place, restart_group, restart_host, rollback.",
    "warm restart": "The ladder reload_in_place → restart_group → restart_host, as far as the adapter can.",
    "canary": "One fresh one-token request of our own, sent to the engine itself.",
    "incarnation": "What changes when the engine really restarted: pid, start time, boot id.",
    "intent": "The durable record of an action, written before anything is touched.",
    "fence": "A number that only rises: whoever executes refuses every order with a lower one.",
    "hold (of traffic)": "The relay parks new requests at their head while a cure is under way.",
    "drain": "Waiting for open exchanges to end before a restart.",
    "effective": "A cure proven by three things: another incarnation, a served canary, readings back inside limits.",
    "ambiguous": "An action whose outcome cannot be told. It is never repeated; a person is asked.",
    "escalated": "Latched: only a person releases it.",
    "mode": "observe (say what would be done), approve (ask), auto (do it); per rule and verb.",
    "profile": "safe (limits for real servers) or demo (minutes become seconds; every loosened limit is printed).",
    "notice": "One message for people, kept in the outbox until delivered, with the same id on every try.",
    "keeper": "The small process that owns the engine's process tree and outlives the daemon.",
    "adapter": "What speaks to one kind of engine and one way of supervising it, in a child that can be killed.",
}
