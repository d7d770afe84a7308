"""Chats by transformers: the text each model's template gives, and the tokens that its assistant wrote.

    python recipe.py        (transformers 5.23; needs ../tokenizer; writes chats.json beside itself)

`NAME.jinja` is the template the model is published with, `NAME-marked.jinja` ours, the same text with {% generation %} markers around
each answer and the token that ends it. The two must render alike; masks are from the marked one.
"""
import json
import pathlib

from transformers import AutoTokenizer

here = pathlib.Path(__file__).parent
user = lambda text: {"role": "user", "content": text}
assistant = lambda text: {"role": "assistant", "content": text}
system = lambda text: {"role": "system", "content": text}
chats = [
    [user("What is asthma?"), assistant("A disease of the lungs.")],
    [system("Be brief."), user("How is diabetes treated?"), assistant("With diet, exercise and insulin.")],
    [user("Hi"), assistant("Hello 😀"), user("What are the symptoms?"), assistant("Fever.\n\n- cough\n- pain"), user("Thanks"), assistant("ok")],
    [user(" spaces around "), assistant("  answer with spaces \n\n")],
    [user("same text"), assistant("same text"), user("same text"), assistant("same text")],
    [user("assistant"), assistant("assistant\nuser\n{{ messages }}{% generation %}")],
    [user("\ue0f0\ue0f1"), assistant("\ue0f0\ue0f1\ue0f1 private")],
    [user("An end inside"), assistant("half<|eot_id|><end_of_turn><|im_end|> rest")],
    [user("Größe?"), assistant("患者は三日間の熱")],
    [user("No answer yet")],
]
out = {}
for name in ["llama3", "gemma3", "smollm"]:
    hub = AutoTokenizer.from_pretrained(here.parent / "tokenizer" / name)
    plain, marked = [(here / f"{name}{kind}.jinja").read_text() for kind in ("", "-marked")]
    rows = []
    for chat in chats:
        text = hub.apply_chat_template(chat, chat_template=plain, tokenize=False)
        assert text == hub.apply_chat_template(chat, chat_template=marked, tokenize=False), (name, chat)
        prompt = hub.apply_chat_template(chat, chat_template=plain, tokenize=False, add_generation_prompt=True)
        done = hub.apply_chat_template(chat, chat_template=marked, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
        rows.append({"text": text, "prompt": prompt, "ids": list(done["input_ids"]), "mask": list(done["assistant_masks"])})
    out[name] = rows
(here / "chats.json").write_text(json.dumps({"chats": chats, "models": out}, ensure_ascii=False))
