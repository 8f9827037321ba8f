//! Recommenders of users: fitted on what they chose for training, judged as the network is.

use kiln_classic::{Fault, Histories, Model, fit_items};

use super::BaselineKind;
use crate::{
    data::{Dataset, HostInput, HostTarget, InputSchema, Split, Wanted},
    error::{Error, Result},
    metric::{Predictions, Truth, USER_FIGURES, places, user_figures},
};

/// Users that are read together.
const BATCH: u64 = 256;

/// Fits a recommender on the training split.
pub(super) fn fit(kind: BaselineKind, dataset: &Dataset) -> Result<Model, Fault> {
    let InputSchema::Choices { users, items } = &dataset.schema().input else {
        return Err(Fault("the data hold no choices of users".into()));
    };
    let own: Vec<&[u32]> = (0..users.len() as u32).map(|user| dataset.chosen(Split::Train, user)).collect();
    fit_items(kind, Histories { users: &own, items: items.len() })
}

/// The figures of every user of a split.
pub(super) fn predictions_of(model: &Model, dataset: &Dataset, split: Split) -> Result<Predictions> {
    let rows: Vec<u64> = (0..dataset.len(split)).collect();
    let mut figures = Vec::with_capacity(rows.len() * USER_FIGURES);
    for some in rows.chunks(BATCH as usize) {
        let batch = dataset.batch(split, some, 0)?;
        let (HostInput::Choices { users, .. }, HostTarget::Items(Wanted::Ranked { relevant, seen })) =
            (batch.input, batch.target)
        else {
            return Err(Error::input("a recommender is not judged on what it was trained on")
                .next("evaluate --split validation or test"));
        };
        for ((user, chosen), seen) in users.into_iter().zip(&relevant).zip(&seen) {
            let known = dataset.chosen(Split::Train, user.cast_unsigned());
            let scores = model.recommend(known).ok_or_else(|| Error::failed("the baseline does not recommend"))?;
            let found = places(&scores, seen, chosen);
            figures.extend(found.map_or([f32::NAN; USER_FIGURES], |places| user_figures(&places)));
        }
    }
    Predictions::new(figures, USER_FIGURES, Truth::Users(rows.len()))
}
