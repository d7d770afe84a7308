"""Small tokenizers of the four kinds that our models use, and what transformers and sentencepiece make of hard texts with them.

    python recipe.py        (transformers 5.23, tokenizers 0.23, sentencepiece 0.2; writes beside itself)

The vocabularies are trained on the lines below; the word patterns, normalisers, decoders and special tokens are those of Llama 3,
SmolLM2, Gemma 3 and Llama 2. Each folder is a tokenizer as Hugging Face stores it; `pieces.json` holds what a GGUF file would say.
"""
import io
import json
import pathlib

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer
from transformers.convert_slow_tokenizer import generate_merges

here = pathlib.Path(__file__).parent
corpus = [
    "The patient was given 250 mg of amoxicillin three times a day for 10 days.",
    "What are the symptoms of asthma? Wheezing, coughing, shortness of breath and a tight chest.",
    "Blood pressure was 120/80 mmHg; the heart rate was 72 beats per minute.",
    "She doesn't smoke, and she's had no fever since 2019.",
    "How is diabetes treated? With diet, exercise, and sometimes insulin.",
    "Le patient a été opéré à l'hôpital; la fièvre a cessé.",
    "Größe und Übergewicht: 1,75 m, 82,5 kg.",
    "El niño tenía fiebre y dolor de cabeza.",
    "患者は三日間の熱があった。 血圧は正常です。",
    "Пациент жаловался на головную боль.",
    "def dose(weight):\n    return weight * 2.5  # mg\n\n\nprint(dose(70))",
    "Treatment may include medicine, surgery, or radiation therapy; talk with the doctor about the treatment.",
] * 4
texts = [
    "", " ", "a", "Hello world", "  two  spaces   three ", "The symptoms of asthma?", "it's SHE'S don't I'LL", "1 12 123 1234 12345678 3.14",
    "½ ² ٣ Ⅷ", "naïve café e\u0301 Größe", "emoji 😀👩‍⚕️🏽 end", "line\nline\n\n  indented\n\n\n\ttab\r\nwin", "患者は三日間の熱", "no\u00a0break thin\u2009space\u3000wide\ufeffbom\u0085nel",
    "snake_case --- *** ??? !!!...", "<|eot_id|>inside<|eot_id|> text", "a <end_of_turn> b\n<start_of_turn>user", "<|im_start|>user\nhi<|im_end|>\n", "</s> x<s>y",
    "\u0000\u0001\u007f", "ﬁ ﷽ 𝔘𝔫𝔦", "        eight spaces", "trailing   ", "▁ already ▁▁ there", "zero\u200bwidth\u200djoin", "mixed\u0939\u093f\u0928\u094d\u0926\u0940 हिन्दी 한국어",
]


def save(name, tokenizer, config, pieces=None, oracle=None):
    folder = here / name
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **config}))
    if pieces:
        (folder / "pieces.json").write_text(json.dumps(pieces, ensure_ascii=False))
    hub = AutoTokenizer.from_pretrained(folder)
    cases = []
    for text in texts:
        ids = hub.encode(text)
        case = {"text": text, "ids": ids, "plain": hub.encode(text, add_special_tokens=False), "decoded": hub.decode(ids), "skipped": hub.decode(ids, skip_special_tokens=True)}
        if oracle:
            case["pieces"] = oracle(text)
        cases.append(case)
    (folder / "cases.json").write_text(json.dumps({"eos": hub.eos_token_id, "bos": hub.bos_token_id, "pad": hub.pad_token_id, "cases": cases}, ensure_ascii=False, indent=0))


def byte_level(name, pre, specials, config, ignore_merges, bos=None):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=620, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), special_tokens=specials, show_progress=False)
    tokenizer.train_from_iterator(corpus, trainer)
    if bos:
        template = processors.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A {bos}:1 $B:1", special_tokens=[(bos, tokenizer.token_to_id(bos))])
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    save(name, tokenizer, config)


llama3_words = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
byte_level(
    "llama3",
    pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(llama3_words), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
    ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"},
    True,
    "<|begin_of_text|>",
)
byte_level(
    "smollm",
    pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]),
    ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>", "unk_token": "<|endoftext|>"},
    False,
)


def sentence_piece(name, specials, config, prefix, user_defined=(), **options):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(line for text in corpus for line in text.split("\n") if line), model_writer=model, model_type="bpe", vocab_size=700, byte_fallback=True,
        split_digits=True, add_dummy_prefix=prefix, remove_extra_whitespaces=False, normalization_rule_name="identity", character_coverage=1.0,
        user_defined_symbols=list(user_defined), allow_whitespace_only_pieces=True, num_threads=1, minloglevel=2, **options,
    )
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    count = processor.get_piece_size()
    tokens = [processor.id_to_piece(i) for i in range(count)]
    scores = [processor.get_score(i) for i in range(count)]
    kind = lambda i: 2 if processor.is_unknown(i) else 3 if processor.is_control(i) else 6 if processor.is_byte(i) else 4 if tokens[i] in user_defined else 1
    kinds = [kind(i) for i in range(count)]
    vocab = {token: i for i, token in enumerate(tokens)}
    merges = generate_merges(vocab, [(tokens[i], scores[i]) for i in range(count)])
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, fuse_unk=True, byte_fallback=True, unk_token="<unk>"))
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in specials])
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=False) for token in user_defined if token not in specials])
    replace = normalizers.Replace(" ", "▁")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), replace]) if prefix else replace
    tokenizer.pre_tokenizer = None if prefix else pre_tokenizers.Split(" ", "merged_with_previous")
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(steps + [decoders.Strip(" ", 1, 0)] if prefix else steps)
    bos = config["bos_token"]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A {bos}:1 $B:1", special_tokens=[(bos, vocab[bos])])
    pieces = {"tokens": tokens, "scores": [round(score, 4) for score in scores], "kinds": kinds, "bos": vocab[bos], "eos": vocab[config["eos_token"]]}
    save(name, tokenizer, config, pieces, processor.encode)


sentence_piece(
    "gemma3", ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"],
    {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"}, False,
    ["<start_of_turn>", "<end_of_turn>", "\n", "\n\n", "\n\n\n", "▁▁", "▁▁▁", "▁▁▁▁"],
    pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>",
)
sentence_piece("llama2", ["<unk>", "<s>", "</s>"], {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}, True, unk_id=0, bos_id=1, eos_id=2)
