//! Epoch milliseconds as people read them, UTC. Calendar arithmetic after Howard Hinnant's `civil_from_days`.

/// `2019-10-24T03:22:11.123+0000`, as Nacos's error pages have it.
pub fn iso_millis(epoch_ms: u64) -> String {
    let (y, mo, d, h, mi, s) = civil(epoch_ms);
    format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}.{:03}+0000", epoch_ms % 1_000)
}

/// `2026-11-21 07:58:29`, as Nacos's member lists have it.
pub fn plain_seconds(epoch_ms: u64) -> String {
    let (y, mo, d, h, mi, s) = civil(epoch_ms);
    format!("{y:04}-{mo:02}-{d:02} {h:02}:{mi:02}:{s:02}")
}

fn civil(epoch_ms: u64) -> (u64, u64, u64, u64, u64, u64) {
    let seconds = epoch_ms / 1_000;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day, rest / 3_600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_as_nacos_prints_them() {
        assert_eq!(iso_millis(0), "1970-01-01T00:00:00.000+0000");
        assert_eq!(iso_millis(1_571_887_331_123), "2019-10-24T03:22:11.123+0000");
        assert_eq!(plain_seconds(1_709_164_800_000), "2024-02-29 00:00:00");
        assert_eq!(plain_seconds(1_735_689_599_000), "2024-12-31 23:59:59");
    }
}
