//! `kiln devices`.

use super::{Console, console::table};
use crate::{device, error::Result, train::human_bytes};

/// Lists every device that kiln knows.
pub fn devices(console: &Console) -> Result<()> {
    let reports = device::list();
    console.result(&reports, || {
        let mut rows = vec![["DEVICE", "USABLE", "NAME", "MEMORY", "DTYPES", "NOTE"].map(String::from).to_vec()];
        rows.extend(reports.iter().map(|r| {
            vec![
                r.spec.clone(),
                if r.present { "yes" } else { "no" }.into(),
                r.name.clone().unwrap_or_default(),
                r.memory.map(human_bytes).unwrap_or_default(),
                r.dtypes.to_string(),
                [r.reason.clone(), r.build.clone()].into_iter().flatten().collect::<Vec<_>>().join("; "),
            ]
        }));
        table(&rows)
    })
}
