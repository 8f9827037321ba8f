//! Byte-level byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019), learned from a stream of texts.

use tokenizers::{
    DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, Tokenizer, TokenizerImpl,
    models::bpe::{BPE, BpeTrainer},
    pre_tokenizers::byte_level::ByteLevel,
};

use crate::error::{Error, Result};

/// Learns at most `size` tokens: the 256 bytes, then the most frequent pairs in turn. Only the distinct words are
/// kept in memory.
pub(super) fn train(size: usize, texts: impl Iterator<Item = Result<String>> + Send) -> Result<Tokenizer> {
    if size <= 256 {
        return Err(Error::input(format!(
            "a byte-pair vocabulary of {size} has no room for merges beside the 256 bytes"
        ))
        .next("raise `data.tokenizer = { bpe = .. }` above 256, or set it to \"bytes\""));
    }
    let byte_level = ByteLevel::new(false, true, true);
    let mut tokenizer: TokenizerImpl<
        BPE,
        NormalizerWrapper,
        PreTokenizerWrapper,
        PostProcessorWrapper,
        DecoderWrapper,
    > = TokenizerImpl::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(byte_level)).with_decoder(Some(byte_level));
    let mut trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(size)
        .min_frequency(2)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    // The trainer wants plain text, so the stream ends at its first error.
    let mut fault = None;
    let texts = texts.map_while(|text| text.map_err(|e| fault = Some(e)).ok());
    let trained = tokenizer.train(&mut trainer, texts).map(|_| ()).map_err(|e| e.to_string());
    match (fault, trained) {
        (Some(fault), _) => Err(fault),
        (None, Err(e)) => Err(Error::failed(format!("the byte-pair vocabulary could not be learned: {e}"))),
        (None, Ok(())) => Ok(Tokenizer::from(tokenizer)),
    }
}
