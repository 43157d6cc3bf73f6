//! The rows of the table about hooks and probes.

use tidegate_rollout::plan::codes::Code;

use super::table::{Case, case};

const BACKUP: (&str, &str) = (
    "  watch: 1d ",
    "  hooks: { backup: { run: { command: [backup.sh] } } }\n  watch: 1d ",
);
const USED: (&str, &str) = ("      bake: 30m", "      hooks: { before: [backup] }\n      bake: 30m");

pub(super) const CASES: &[Case] = &[
    case(
        Code::P222,
        &[
            ("      bake: 30m", "      hooks: { before: [backup] }\n      bake: 30m"),
            BACKUP,
        ],
        "spec.phases[0].hooks.before[0]",
        "backup",
    ),
    case(
        Code::P102,
        &[
            ("      bake: 30m", "      hooks: { before: [bakcup] }\n      bake: 30m"),
            BACKUP,
        ],
        "spec.phases[0].hooks.before[0]",
        "bakcup",
    ),
    case(Code::P171, &[BACKUP], "spec.hooks.backup", "backup"),
    case(
        Code::P223,
        &[
            USED,
            (
                "  watch: 1d ",
                "  hooks: { backup: { run: { command: [../backup.sh] } } }\n  watch: 1d ",
            ),
        ],
        "spec.hooks.backup.run.command[0]",
        "../backup.sh",
    ),
    case(
        Code::P224,
        &[
            USED,
            (
                "  watch: 1d ",
                "  probes: { backup: { http: { url: health.example } } }\n  watch: 1d ",
            ),
        ],
        "spec.probes.backup.http.url",
        "health.example",
    ),
    case(
        Code::P225,
        &[
            USED,
            (
                "  watch: 1d ",
                "  hooks: { backup: { run: { command: [b.sh] }, attempts: 2 } }\n  watch: 1d ",
            ),
        ],
        "spec.hooks.backup.attempts",
        "2",
    ),
    case(
        Code::P226,
        &[
            USED,
            (
                "  watch: 1d ",
                "  hooks: { backup: { run: { command: [b.sh] }, timeout: 0s } }\n  watch: 1d ",
            ),
        ],
        "spec.hooks.backup.timeout",
        "0s",
    ),
    case(
        Code::P227,
        &[
            USED,
            (
                "  watch: 1d ",
                "  probes: { backup: { http: { url: 'http://h/', expect: { json: { status: ok } } } } }\n  watch: 1d ",
            ),
        ],
        "spec.probes.backup.http.expect.json.status",
        "ok",
    ),
    case(
        Code::P229,
        &[(
            "  watch: 1d ",
            "  hooks: { flush: { run: { command: [redis-cli, FLUSHDB] } } }\n  rollback: { hooks: [flush] }\n  watch: 1d ",
        )],
        "spec.rollback.hooks[0]",
        "flush",
    ),
];
