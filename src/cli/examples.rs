//! What stands below each command's options in its `--help`: what else is to know, and how it is used. A test reads every example as the
//! program would.

use clap::Command;

/// The end of one command's help.
struct Guide {
    command: &'static str,
    note: &'static str,
    examples: &'static [&'static str],
}

const GUIDES: &[Guide] = &[
    Guide {
        command: "serve",
        note: "It runs until it gets SIGINT or SIGTERM; requests under way are finished first (SHUTDOWN_TIMEOUT_SECONDS). The first start on a \
               loopback address makes the user localadmin with the secret localadmin; on any other address it prints a random secret once.",
        examples: &[
            "myfsio serve",
            "myfsio serve --storage-root /srv/s3 --host 0.0.0.0 --port 9000",
            "myfsio serve --config /etc/myfsio.toml --mode api",
            "myfsio serve --tls-cert-path fullchain.pem --tls-key-path privkey.pem",
        ],
    },
    Guide {
        command: "config",
        note: "Flags win over environment variables, these over the configuration file, and that over the defaults.",
        examples: &["myfsio config show", "myfsio config check --config /etc/myfsio.toml"],
    },
    Guide {
        command: "fsck",
        note: "Each difference is one line as it is found: its kind, where, and what about it. Exit status 0 when all agrees, or was mended.",
        examples: &[
            "myfsio fsck --storage-root /srv/s3",
            "myfsio fsck --data --json > report.json",
            "myfsio fsck --repair",
            "myfsio fsck --explain photos/2024/a.jpg --version-id null",
        ],
    },
    Guide {
        command: "reindex",
        note: "Needed when the index is lost, or files were put into a bucket's folder while the node was stopped. Copies of a data directory must \
               have been made with extended attributes and times (cp -a, rsync -aX).",
        examples: &["myfsio reindex", "myfsio reindex photos"],
    },
    Guide {
        command: "bucket",
        note: "While the node runs it is asked at its admin socket; else the data directory is opened for the one question.",
        examples: &["myfsio bucket create photos", "myfsio bucket list --json", "myfsio bucket delete photos"],
    },
    Guide {
        command: "import",
        note: "Nothing of the source is changed. An import that was interrupted is begun again by the same command: what is there already is \
               not fetched again. What could not be carried over is named at the end.",
        examples: &[
            "myfsio import --from s3://photos --endpoint https://s3.example.com --profile old",
            "myfsio import --from s3:// --endpoint http://127.0.0.1:9000 --dry-run",
            "myfsio import --from /srv/old-myfsio/data",
            "myfsio import --from ./pictures --into photos",
        ],
    },
    Guide {
        command: "scrub",
        note: "The node verifies everything by itself every SCRUB_INTERVAL_DAYS; this asks for it now.",
        examples: &["myfsio scrub start", "myfsio scrub status --json", "myfsio scrub stop"],
    },
    Guide {
        command: "backup",
        note: "DIR belongs on another disk. What a backup shares with the one before it takes no space again.",
        examples: &[
            "myfsio backup create /mnt/backups",
            "myfsio backup verify /mnt/backups",
            "myfsio backup restore /mnt/backups --to /srv/restored",
            "myfsio backup prune /mnt/backups --keep 7",
        ],
    },
    Guide {
        command: "key",
        note: "Wrapping anew touches no file: the data keys of objects are opened and sealed under the newest material.",
        examples: &[
            "myfsio key list",
            "myfsio key rotate alias/photos",
            "myfsio key reencrypt",
            "myfsio key reencrypt --bucket photos --to alias/new",
            "myfsio key reencrypt --cancel",
        ],
    },
    Guide {
        command: "replication",
        note: "While the node runs it is asked at its admin socket; else the data directory is opened for the one question.",
        examples: &[
            "myfsio replication connect --name backup --endpoint https://other:5000 --access-key replicator < secret",
            "myfsio replication start photos --connection backup --existing",
            "myfsio replication status",
            "myfsio replication compare photos --repair",
        ],
    },
    Guide {
        command: "user",
        note: "Secrets are printed once. A policy is JSON, @FILE, or - for standard input.",
        examples: &[
            "myfsio user create --display-name \"Replication User\" --policy '[{\"bucket\":\"backup\",\"actions\":[\"write\",\"read\",\"list\"]}]'",
            "myfsio user list --json",
            "myfsio user rotate ann --overlap 3600",
            "myfsio user delete ann",
        ],
    },
    Guide {
        command: "client-encryption",
        note: "Needs no node. The key never leaves this machine; without it, nobody can read what was encrypted.",
        examples: &[
            "myfsio client-encryption generate-key --output my.key",
            "myfsio client-encryption encrypt --key-file my.key report.pdf report.sealed --metadata report.json",
            "myfsio client-encryption decrypt --key-file my.key --metadata report.json report.sealed report.pdf",
        ],
    },
    Guide {
        command: "healthcheck",
        note: "Exit status 0 when the node serves, else 1 with one line that says why. It asks over TLS if TLS_CERT_PATH is set.",
        examples: &["myfsio healthcheck", "myfsio healthcheck --port 9000"],
    },
    Guide {
        command: "top",
        note: "Ctrl-C ends it. Where the output is no terminal, pictures are written one below the other.",
        examples: &[
            "myfsio top",
            "myfsio top --once --json | jq .requests_per_second",
            "AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… myfsio top --url https://s3.example.com:5000",
        ],
    },
    Guide {
        command: "trace",
        note: "Ctrl-C ends it. A line has time, status, milliseconds, operation, bucket and key, user, address, bytes in and out, and the error's \
               code.",
        examples: &[
            "myfsio trace --status 4xx",
            "myfsio trace --code NoSuchKey",
            "myfsio trace --bucket photos --min-ms 200 --json",
            "AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… myfsio trace --url https://s3.example.com:5000",
        ],
    },
    Guide {
        command: "upgrade",
        note: "Run it with the new program before the old node is stopped. Exit status 0 when the new program can be started.",
        examples: &["myfsio upgrade --check --storage-root /srv/s3", "myfsio upgrade --check --json | jq .verdict"],
    },
    Guide {
        command: "completions",
        note: "Put the script where your shell looks for completions.",
        examples: &[
            "myfsio completions bash > ~/.local/share/bash-completion/completions/myfsio",
            "myfsio completions zsh > ~/.zfunc/_myfsio",
            "myfsio completions fish > ~/.config/fish/completions/myfsio.fish",
        ],
    },
    Guide { command: "version", note: "", examples: &["myfsio version"] },
];

/// Adds them to the commands.
pub(super) fn add(command: Command) -> Command {
    let known: Vec<String> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let guides = GUIDES.iter().filter(|guide| known.iter().any(|name| name == guide.command));
    guides.fold(command, |command, guide| {
        command.mut_subcommand(guide.command, |command| command.after_help(told(guide)))
    })
}

fn told(guide: &Guide) -> String {
    let examples: String = guide.examples.iter().map(|example| format!("\n  {example}")).collect();
    match guide.note {
        "" => format!("Examples:{examples}"),
        note => format!("{note}\n\nExamples:{examples}"),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::super::arguments::{command, parse};
    use super::*;

    /// The words of a command line, up to what the shell does with its output.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
        for character in line.chars().chain([' ']) {
            match (character, quote) {
                (_, Some(open)) if character == open => quote = None,
                ('"' | '\'', None) => quote = Some(character),
                (' ', None) if !word.is_empty() => words.push(std::mem::take(&mut word)),
                (' ', None) => {}
                _ => word.push(character),
            }
        }
        let end = words.iter().position(|word| matches!(word.as_str(), "|" | ">" | "<")).unwrap_or(words.len());
        words.truncate(end);
        words.into_iter().skip_while(|word| word != "myfsio").collect()
    }

    #[test]
    fn every_command_tells_how_it_is_used() {
        let grammar = command();
        for subcommand in grammar.get_subcommands() {
            let name = subcommand.get_name();
            assert!(subcommand.get_about().is_some(), "{name} has no about");
            let help = subcommand.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:\n  "), "{name} has no examples: add a guide");
        }
        for guide in GUIDES {
            assert!(grammar.find_subcommand(guide.command).is_some(), "{} is no command", guide.command);
        }
    }

    #[test]
    fn every_example_is_one() {
        for (guide, example) in
            GUIDES.iter().flat_map(|guide| guide.examples.iter().map(move |example| (guide, example)))
        {
            let words = words(example);
            assert!(words.iter().skip(1).any(|word| word == guide.command), "{example}");
            match parse(words.into_iter().map(OsString::from)) {
                Ok(_) => {}
                Err(error) => assert_eq!(error.exit_code(), 0, "{example}: {error}"),
            }
        }
    }
}
