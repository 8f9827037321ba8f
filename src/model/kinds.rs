//! What each kind of model is called, and what it reads.

use super::{InputShape, ModelConfig, Signature};

/// What data can be to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Text without end, of a language model.
    Text,
    /// Texts, one example each.
    Texts,
    /// Rows of a table.
    Tables,
    /// Pictures.
    Pictures,
    /// Windows over the rows of a table.
    Windows,
    /// Who chose what.
    Choices,
    /// Rows that are to be rebuilt.
    Anomalies,
}

use Reads::{Anomalies, Choices, Pictures, Tables, Text, Texts, Windows};

const KINDS: [(&str, &[Reads]); 18] = [
    ("linear", &[Tables, Pictures, Texts, Windows]),
    ("mlp", &[Tables, Pictures, Windows]),
    ("cnn", &[Pictures]),
    ("vit", &[Pictures]),
    ("ft-transformer", &[Tables]),
    ("wide-and-deep", &[Tables]),
    ("encoder", &[Texts]),
    ("lstm", &[Texts, Windows]),
    ("gru", &[Texts, Windows]),
    ("conv1d", &[Texts, Windows]),
    ("embedding-bag", &[Texts]),
    ("series-transformer", &[Windows]),
    ("gpt", &[Text]),
    ("autoencoder", &[Anomalies]),
    ("vae", &[Anomalies]),
    ("matrix-factorization", &[Choices]),
    ("neumf", &[Choices]),
    ("two-tower", &[Choices]),
];

impl Reads {
    /// What a signature gives. The outputs of a language model are its vocabulary; those of texts have a head.
    pub fn given(sig: &Signature) -> Self {
        match sig.input {
            InputShape::Tokens { vocab, .. } if vocab == sig.outputs => Text,
            InputShape::Tokens { .. } => Texts,
            InputShape::Features(_) | InputShape::Mixed { .. } => Tables,
            InputShape::Sequence { .. } => Windows,
            InputShape::Choices { .. } => Choices,
            InputShape::Image { .. } => Pictures,
        }
    }

    /// What a kind of model can read.
    pub fn of(kind: &str) -> &'static [Self] {
        KINDS.iter().find(|(own, _)| *own == kind).map(|(_, reads)| *reads).unwrap_or_default()
    }

    /// In the plural, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Text => "text without end",
            Texts => "texts",
            Tables => "tables",
            Pictures => "pictures",
            Windows => "windows",
            Choices => "who chose what",
            Anomalies => "rows to rebuild",
        }
    }

    /// The kinds that read any of these, for messages: `` `a`, `b` or `c` ``.
    pub fn kinds(any: &[Self]) -> String {
        let reads = KINDS.iter().filter(|(_, reads)| reads.iter().any(|read| any.contains(read)));
        alternatives(&reads.map(|(kind, _)| format!("`{kind}`")).collect::<Vec<_>>())
    }

    /// These, for messages.
    pub fn names(these: &[Self]) -> String {
        alternatives(&these.iter().map(|read| read.name().to_owned()).collect::<Vec<_>>())
    }
}

fn alternatives(words: &[String]) -> String {
    match words {
        [most @ .., last] if !most.is_empty() => format!("{} or {last}", most.join(", ")),
        _ => words.concat(),
    }
}

impl ModelConfig {
    /// The `kind`, as typed in a config.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Linear(_) => "linear",
            Self::Mlp(_) => "mlp",
            Self::Cnn(_) => "cnn",
            Self::Gpt(_) => "gpt",
            Self::Vit(_) => "vit",
            Self::FtTransformer(_) => "ft-transformer",
            Self::WideAndDeep(_) => "wide-and-deep",
            Self::EmbeddingBag(_) => "embedding-bag",
            Self::Lstm(_) => "lstm",
            Self::Gru(_) => "gru",
            Self::Encoder(_) => "encoder",
            Self::Conv1d(_) => "conv1d",
            Self::SeriesTransformer(_) => "series-transformer",
            Self::Autoencoder(_) => "autoencoder",
            Self::Vae(_) => "vae",
            Self::MatrixFactorization(_) => "matrix-factorization",
            Self::Neumf(_) => "neumf",
            Self::TwoTower(_) => "two-tower",
        }
    }
}
