//! Words of the page of users as a file.

use super::texts;

texts! { Transfer {
    title = "Export and import",
    export_title = "Export",
    export_lead = "Users, groups and managed policies of this account, as JSON. Access keys and secrets are not in it: a file that is passed around opens nothing. Whole nodes move by a backup.",
    export = "Download",
    import_title = "Import",
    import_lead = "What the file names is then as it says; what it does not name stays as it is, and nothing is removed. New users get their access keys afterwards. You see what would happen before anything does.",
    file = "File",
    file_hint = "At most",
    look = "Look at what it would do",
    no_file = "Choose a file.",
    no_text = "The file is no text.",
    preview = "What the file would do",
    created = "Created",
    changed = "Changed",
    same = "As it is",
    kept = "Left alone",
    stayed = "Stay as they are",
    kind = "Kind",
    outcome = "What happens",
    fields = "What changes",
    policy = "Policy",
    group = "Group",
    user = "User",
    nothing = "Everything is as the file says already.",
    import = "Import",
    done = "were created or changed.",
    differs = "Something has changed since you looked. This is what the file would do now.",
} }
