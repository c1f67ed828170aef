//! The listing of `config show`: every setting, its value and where that came from, secrets masked.

use std::fmt::Write;

use super::resolve::Values;

/// The listing, one line a setting under the headings of the table.
pub fn show(values: &Values) -> String {
    let rows: Vec<_> = values.iter().map(|resolved| (resolved, resolved.shown())).collect();
    let name_width = rows.iter().map(|(resolved, _)| resolved.setting.variable.len()).max().unwrap_or(0);
    // One long path must not push every source out of sight.
    let value_width = rows.iter().map(|(_, shown)| shown.chars().count()).max().unwrap_or(0).min(52);
    let mut listing = String::new();
    let mut group = "";
    for (resolved, shown) in rows {
        let setting = resolved.setting;
        if setting.group != group {
            let gap = if group.is_empty() { "" } else { "\n" };
            group = setting.group;
            let _ = writeln!(listing, "{gap}# {group}");
        }
        let source = &resolved.source;
        let _ = writeln!(listing, "{:name_width$}  {shown:value_width$}  {source}", setting.variable);
    }
    listing
}

#[cfg(test)]
mod tests {
    use super::super::resolve::{environment_layer, resolve};
    use super::super::settings::SETTINGS;
    use super::*;

    #[test]
    fn the_listing_has_each_setting_once_with_its_source() {
        let given = |name: &str| {
            Ok(match name {
                "PORT" => Some("6000".to_owned()),
                "SECRET_KEY" => Some("hunter2".to_owned()),
                _ => None,
            })
        };
        let listing = show(&resolve(&[environment_layer(given).unwrap()], 4));
        for setting in SETTINGS {
            let lines = listing.lines().filter(|line| line.split_whitespace().next() == Some(setting.variable));
            assert_eq!(lines.count(), 1, "{}", setting.variable);
        }
        let line = |name: &str| listing.lines().find(|line| line.starts_with(name)).unwrap();
        assert_eq!(line("PORT ").split_whitespace().collect::<Vec<_>>(), ["PORT", "6000", "environment"]);
        assert_eq!(
            line("SECRET_KEY ").split_whitespace().collect::<Vec<_>>(),
            ["SECRET_KEY", "********", "environment"]
        );
        assert_eq!(line("HOST ").split_whitespace().collect::<Vec<_>>(), ["HOST", "127.0.0.1", "default"]);
        assert!(!listing.contains("hunter2"));
    }
}
