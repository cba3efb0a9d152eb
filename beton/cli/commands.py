"""All commands: where each lives and what it does, in the order of the loop that they serve. Nothing of them is imported before it is called."""

from __future__ import annotations

from importlib.util import find_spec

Said = tuple[str, str]

COMMANDS: dict[str, Said] = {
    "sandbox": ("beton.cli.sandbox:sandbox", "Serve a local PostHog with events of a file or of a generated world."),
    "connect": ("beton.cli.connect:connect", "Check a PostHog project and keep it under a name."),
    "taxonomy": ("beton.cli.connect:taxonomy", "Read what a project calls things: events, properties, group types."),
    "outcomes": ("beton.cli.outcomes:outcomes", "List what may be predicted in a project, and keep a question for searches."),
    "propose": ("beton.cli.propose:propose", "Search for behaviour that precedes an outcome."),
    "backtest": ("beton.cli.backtest:backtest", "Score hypotheses on a file of events or on a connected project."),
    "hypotheses": ("beton.cli.hypotheses:hypotheses", "List hypotheses with their newest numbers, or show one."),
    "why": ("beton.cli.why:why", "Say why a hypothesis was proposed."),
    "approve": ("beton.cli.hypotheses:approve", "Approve a hypothesis: from now on its fires are sent."),
    "reject": ("beton.cli.hypotheses:reject", "Reject a hypothesis and say why."),
    "pause": ("beton.cli.hypotheses:pause", "Stop sending a hypothesis's signals for now."),
    "resume": ("beton.cli.hypotheses:resume", "Send the signals of a paused hypothesis again."),
    "retire": ("beton.cli.hypotheses:retire", "End a live hypothesis."),
    "sweep": ("beton.cli.sweep:sweep", "Find new fires of approved hypotheses, now or through past time."),
    "signals": ("beton.cli.signals:signals", "List signals, the last detected first."),
    "deliver": ("beton.cli.signals:deliver", "Send all signals that are due, once."),
    "scoreboard": ("beton.cli.scoreboard:scoreboard", "Show what became of signals, beside what was promised."),
    "prove": ("beton.cli.scoreboard:prove", "Read from PostHog what became of signals, now."),
    "holdout": ("beton.cli.scoreboard:holdout", "Hold a share of a hypothesis's accounts out, to measure what sending adds."),
    "serve": ("beton.cli.serving:serve", "Serve pages and API, with the jobs in the same process."),
    "worker": ("beton.cli.serving:worker", "Run the jobs alone: sweeps, deliveries, queued work."),
    "migrate": ("beton.cli.serving:migrate", "Bring the database to the schema of this version."),
    "backup": ("beton.cli.backups:backup", "Write the whole database into one file, while everything runs on."),
    "restore": ("beton.cli.backups:restore", "Fill an empty database with a backup, or compare one with it."),
    "rotate-key": ("beton.cli.safety:rotate_key", "Seal every secret with the present key, while everything runs on."),
    "verify-audit": ("beton.cli.safety:verify_audit", "Check that no entry of the audit log was changed or removed."),
    "doctor": ("beton.cli.doctor:doctor", "Check the installation and its connections, and say what to do."),
}

GROUPS: dict[str, tuple[str, dict[str, Said]]] = {
    "facts": (
        "What people know about their business.",
        {
            "add": ("beton.cli.facts:add", "Write a fact down."),
            "list": ("beton.cli.facts:show", "List the facts."),
            "remove": ("beton.cli.facts:remove", "Forget a fact."),
        },
    ),
    "routes": (
        "Where signals go.",
        {
            "add": ("beton.cli.routes:add", "Send all signals somewhere."),
            "kinds": ("beton.cli.route_kinds:kinds", "List the kinds of routes and their settings."),
            "list": ("beton.cli.routes:show", "List the routes."),
            "set-up": ("beton.cli.route_kinds:set_up", "Make Beton's own fields in a CRM."),
            "difference": ("beton.cli.route_kinds:difference", "Tell what sending would change in a CRM."),
            "reviewers": ("beton.cli.route_kinds:reviewers", "Choose where reviewers are told that proposals wait."),
            "test": ("beton.cli.routes:send_test", "Send a message that is no signal."),
            "disable": ("beton.cli.routes:disable", "Stop sending to a route; its deliveries wait."),
            "enable": ("beton.cli.routes:enable", "Send to a route again."),
            "rules": ("beton.cli.route_rules:rules", "Tell or set what a route takes, how often, whose it is, and what it says."),
            "preview": ("beton.cli.route_rules:preview", "Tell what would have been sent in the last weeks."),
        },
    ),
    "sending": (
        "Whether anything is sent at all, and how often the same.",
        {
            "show": ("beton.cli.reach:status", "Tell what holds signals back."),
            "stop": ("beton.cli.reach:stop", "Stop all sending."),
            "start": ("beton.cli.reach:start", "Send again."),
            "cooldown": ("beton.cli.reach:cooldown", "Set how often the same may come up again."),
        },
    ),
    "suppressions": (
        "Who gets no signals.",
        {
            "add": ("beton.cli.reach:suppress", "Put all that a file names on a list."),
            "list": ("beton.cli.reach:suppressed", "List who gets no signals."),
            "remove": ("beton.cli.reach:unsuppress", "Take a line off its list."),
        },
    ),
    "snoozes": (
        "About whom nothing is sent for a while.",
        {
            "add": ("beton.cli.reach:snooze", "Send nothing about somebody until then."),
            "list": ("beton.cli.reach:snoozes", "List who is snoozed."),
            "end": ("beton.cli.reach:wake", "End a snooze."),
        },
    ),
    "deliveries": (
        "What is on its way.",
        {
            "list": ("beton.cli.deliveries:show", "List deliveries."),
            "resolve": ("beton.cli.deliveries:resolve", "Say whether a message in doubt arrived."),
            "retry": ("beton.cli.deliveries:retry", "Send one again."),
            "replay": ("beton.cli.deliveries:replay", "Send again all that was given up since an instant."),
        },
    ),
    "sources": (
        "Where PostHog sends events to, the moment they happen.",
        {
            "add": ("beton.cli.sources:add", "Make an address for the events of a connection."),
            "list": ("beton.cli.sources:show", "List the sources and how they do."),
            "test": ("beton.cli.sources:try_out", "Wait for an event, and show how it is read."),
            "map": ("beton.cli.sources:remap", "Say where in the body the parts of an event stand."),
            "activate": ("beton.cli.sources:activate", "Let a source make signals."),
            "disable": ("beton.cli.sources:disable", "Take nothing at a source any more."),
            "rotate": ("beton.cli.sources:rotate", "Give a source another address."),
            "log": ("beton.cli.sources:log", "List what came in, and what became of it."),
            "remove": ("beton.cli.sources:remove", "Remove a source with its addresses and its log."),
        },
    ),
    "members": (
        "Who may sign in.",
        {
            "add": ("beton.cli.members:add", "Invite somebody, with a role."),
            "list": ("beton.cli.members:show", "List members and open invitations."),
            "role": ("beton.cli.members:role", "Give a member another role."),
            "remove": ("beton.cli.members:remove", "Put a member out."),
            "reset": ("beton.cli.members:reset", "Make a link for a new password."),
            "link": ("beton.cli.members:link", "Make a link that signs a member in, once."),
        },
    ),
    "person": (
        "What is known of one person.",
        {
            "erase": ("beton.cli.person:erase", "Erase a person everywhere."),
            "export": ("beton.cli.person:export", "Print all that is known of a person."),
        },
    ),
    "workspaces": (
        "Teams that share this installation.",
        {
            "add": ("beton.cli.workspaces:add", "Make a workspace."),
            "list": ("beton.cli.workspaces:show", "List the workspaces."),
        },
    ),
    "keys": (
        "What lets programs in.",
        {
            "new": ("beton.cli.keys:new", "Make a key for the API."),
            "list": ("beton.cli.keys:show", "List the keys."),
            "revoke": ("beton.cli.keys:revoke", "Let a key in no more."),
        },
    ),
    "bench": (
        "Measure speed, memory and truthfulness on this machine.",
        {
            "kernel": ("beton.cli.bench:kernel", "The engine beside databases and data frames."),
            "truth": ("beton.cli.bench:truth", "False finds, coverage, traps, drift: each with its bound."),
            "agent": ("beton.cli.bench:agent", "What the search finds of what is planted, and beside what one would run instead."),
            "prompts": ("beton.cli.bench:prompts", "What a model answers to every prompt in every world."),
            "read": ("beton.cli.bench:read", "The packed reader beside paging through raw rows."),
            "desk": ("beton.cli.bench:desk", "Pages and the API of a large workspace, asked at a fixed rate."),
            "inbound": ("beton.cli.bench:inbound", "Events sent to a server as fast as PostHog sends them."),
            "crash": ("beton.cli.bench:crash", "Workers killed at any moment, and what is lost or doubled afterwards."),
            "rehearsal": ("beton.cli.bench:rehearsal", "Months of an installation in minutes, with faults."),
            "all": ("beton.cli.bench:everything", "All of these."),
        },
    ),
}

if find_spec("beton.cli.demo") is not None:
    COMMANDS["demo"] = ("beton.cli.demo:command", "Show the whole loop on a generated project, without an account.")
