r"""How people and models say which letter they choose: words for :mod:`tais.scorers.choice`.

English and more than thirty other languages; the tests have an example of most. Words are looked up
from the letter backwards, so that *the correct answer to the question, then, is option (C)* needs no pattern
of its own.
"""

from __future__ import annotations

import re

__all__ = [
    "ANSWER_WORDS",
    "BUT_WORDS",
    "CHOICE_WORDS",
    "DENIED_AFTER",
    "DENYING",
    "DOUBT",
    "FILLERS",
    "HEDGES",
    "LINKS",
    "OPTION_WORDS",
    "RIGHT_AFTER",
    "RUN_ANSWER",
    "RUN_CHOICE",
    "RUN_DENIED",
    "RUN_OPTION",
]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ANSWER_WORDS = _words(
    # en, and what stands in JSON
    "answer answers answer's ans anwser solution conclusion result final_answer correct_answer "
    # es fr de pt it nl
    "respuesta respuestas solución réponse réponses antwort antworten lösung resposta respostas gabarito "
    "solução risposta risposte soluzione antwoord oplossing "
    # pl tr vi id ms uk ru be bg sr cs sk ro hu el sv da no fi et hr
    "odpowiedź odpowiedzi odpowiedzią cevap cevabı cevabım yanıt yanıtı án lời jawaban jawabannya "
    "jawapan відповідь "
    "відповіддю ответ ответом ответа отговор одговор odpověď odpoveď răspuns răspunsul válasz απάντηση "
    "svar svaret "
    "svaret vastaus vastaukseni vastus odgovor odpověďí "
    # ar fa ur he hi bn ta te mr gu th sw tl
    "الإجابة الاجابة إجابة الجواب جواب جوابي إجابتي پاسخ جواب تשובה תשובה התשובה उत्तर जवाब उत्तरः উত্তর "
    "উত্তরটি பதில் "
    "விடை సమాధానం జవాబు જવાબ ਜਵਾਬ คำตอบ คำตอบคือ คำตอบที่ถูกต้องคือ คำตอบที่ถูกต้อง คำตอบที่ถูกคือ ตอบ "
    "jibu sagot "
    # ko, with what follows a noun
    "정답 정답은 정답이 답 답은 답이 답안 답안은 해답은"
)
"""Nouns for *answer*: what follows is what the answer is said to be."""

CHOICE_WORDS = _words(
    # en: verbs of choosing, judgements, conclusions
    "choose chose chosen choosing choice's pick picked picking select selected selecting selection go "
    "going opt opting get getting leaning lean "
    "guess conclude decide decision say correct right best true so thus hence therefore leaving leaves "
    "left final "
    "summary tl;dr choice pick: "
    # other languages
    "elijo escojo dirais direi diría diria sia elegiría escogería choisis choisirais wähle würde richtig "
    "korrekt entscheide escolho scelgo sceglierei "
    "kies wybieram seçiyorum seçerim chọn memilih pilih pilihan обираю выбираю выберу выбрал вибираю "
    "väljer velger vælger "
    "valitsen välitsen vybírám aleg választom επιλέγω أختار اختار אבחר בוחר entonces donc also então "
    "quindi dus так "
    "итак следовательно значит daher somit correcta correcto correta correto certa corretta giusta juste "
    "exacte richtige "
    "верно правильно верный правильный सही"
)
"""Words of choosing, and of a conclusion; what stands behind them says less than behind *answer*."""

BUT_WORDS = _words("but sondern sino mas mais ma а но بل but rather instead lecz ale")
"""Words between what is denied and what is meant."""

OPTION_WORDS = _words(
    "option options choice choices letter number alternative statement opción letra alternativa inciso "
    "option lettre proposition "
    "buchstabe antwortmöglichkeit möglichkeit opção letra alternativa opzione lettera optie letter opcja "
    "seçenek şıkkı "
    "seçeneği đáp phương opsi pilihan huruf вариант варіант буква буквой ответа الخيار الحرف خيار گزینه "
    "विकल्प বিকল্প ข้อ "
    "אפשרות alternativ vaihtoehto možnost varianta alternatief επιλογή"
)
"""Nouns for one of the options: weaker than an answer, since wrong options are named as well."""

LINKS = _words(
    "it's that's c'est is are was be being would'd equals es son sería fue est sont serait ist lautet "
    "wäre sei é são seria è sono sarebbe to jest jsou je "
    "is zijn là adalah ialah yaitu yakni это является - هي هو है हैं হল হলো คือ är er on este van είναι "
    "היא הוא است ni ay "
    "은 는 이 가 ni: becomes remains"
)
FILLERS = LINKS | _words(
    # en
    "the a an my our your its this that these it i we would should must will has have had to most likely "
    "more probably "
    "clearly therefore thus definitely certainly indeed obviously surely then here of for in on with by "
    "question problem "
    "given above below following final correct right best appropriate accurate suitable only one i'd "
    "i'll i'm we'd we'll "
    "let's let us it's that's think believe feel guess okay ok sure well yes ah hmm actually simply just "
    "also now "
    "as and both all conclusion summary think: would've single true capital out doubt without confident "
    "certain sure pretty quite towards toward"
    # es fr de pt it
    " la el lo las los le les l' un une una der die das den dem ein eine a o as os il gli un' du de des "
    "del di da do "
    "que qu'il creo pense crois je j'opte glaube denke dass ich acho penso credo che c'est est-ce "
    "correcta correcto "
    "correcte correct bonne juste exacte richtige korrekte correta correto certa corretta giusta esatta "
    "más plus mais "
    "più probable probablement para pour für por per mich esta questão question pregunta frage domanda "
    "es ce uma "
    # other languages
    "het juiste correcte goede ik denk dat ten poprawna prawidłowa prawidłową poprawną doğru olan bence "
    "bu đúng nhất "
    "chính xác của tôi phải trả án câu yang benar tepat paling saya правильна вірна правильный верный "
    "правильным верным "
    "правильная я думаю что под для на этот вопрос моя мой الصحيحة الصحيح صحيح هذا على السؤال أن मेरा "
    "इसका सही "
    "সঠিক সরি rätt riktig riktige rigtige det oikea správná správně corect corectă correctă helyes a az "
    "σωστή η הנכונה "
    "صحیح درست सबसे यह sahihi tamang ang yanıt şudur"
)
"""Small words that may stand between a cue and its letter."""
HEDGES = _words("might may could perhaps maybe possibly podría pourrait könnte poderia potrebbe")

DENYING = _words(
    "not never neither nor than instead cannot without except excluding exclude excludes excluded "
    "eliminate eliminates "
    "eliminated eliminating rule rules ruled reject rejects rejected discard avoid nicht kein keine "
    "weder pas aucune não "
    "nem no ni non né ne не нет ни ليست ليس لا غير नहीं ना niet geen nie değil bukan không tidak inte "
    "ikke ei nu لم "
    "לא אינה δεν neither anything nobody nothing ain't unlike versus vs"
)
"""Words that deny what follows; those that end in *n't* do as well."""

DOUBT = re.compile(
    r"(?:n't|\b(?:not|never|cannot|hardly|no longer))\s(?:\w{2,8}ly\s|at all\s|really\s|quite\s|be\s)?"
    r"(?:think|believe|say|saying|agree|feel|suppose|sure|certain|convinced|confident|clear|true|case|"
    r"likely|mean|imply|"
    r"accept|claim|possible|persuaded|see (?:why|how))\b[^,;]{0,60}$"
    r"|(?<!no\s)(?<!without\s)(?<!without a\s)(?<!beyond\s)\b(?:doubt|doubtful|unlikely|deny|disagree|"
    r"untrue|nobody|no one|"
    r"unclear|refuse|false that|wrong to|incorrect to|mistake to|unsure|some|many|people|others|students|"
    r"anyone|initially|at first|(?:you|one|we|they) (?:might|may|could)|tempted to)\b[^,;]{0,60}$"
    r"|\b(?:glaube|denke|bin|meine) (?:\w+ )?nicht\b(?:, (?:dass|ob))?[^,;]{0,40}$|\bbezweifle\b.{0,30}$"
    r"|\bno (?:creo|pienso|considero|es cierto)\b[^,;]{0,40}$|\bdudo\b[^,;]{0,40}$"
    r"|\bne (?:pense|crois) pas\b[^,;]{0,40}$|\bdoute\b[^,;]{0,40}$|\bnão (?:acho|creio|penso|"
    r"acredito)\b[^,;]{0,40}$"
    r"|\bnon (?:penso|credo|ritengo)\b[^,;]{0,40}$|\bне (?:думаю|считаю|уверен\w*|верю)\b.{0,40}$"
    r"|(?:不认为|不認為|不觉得|不覺得|怀疑|不相信)[^,;]{0,20}$",
    re.IGNORECASE,
)
"""What makes a statement none: an opinion that is not held, or is somebody else's."""

_WRONG = (
    r"(?:not|n't|never|wrong|incorrect|false|untrue|out\b|ruled|eliminated|excluded|impossible|unlikely|"
    r"invalid|irrelevant|"
    r"a distractor|nicht|falsch|faux|fausse|incorrect|incorrecte|incorrecta|incorreta|incorreto|falsa|"
    r"errada|errado|sbagliata|"
    r"sbagliato|errata|pas\b|fout|onjuist|fel\b|forkert|feil)"
)
_IS = (
    r"(?:is|are|was|were|seems?|looks?|would be|can be|could be|should be|must be|may be|"
    r"ist|est|es|é|è|está|estão|är|er)"
)
DENIED_AFTER = re.compile(
    rf"\s{{0,2}}(?:option\s|choice\s)?(?:[)\"']\s?)?(?:[^\n.;,:]{{0,40}}?\s)?{_IS}\s(?:all\s|both\s|"
    rf"also\s|therefore\s|clearly\s|simply\s|"
    rf"definitely\s|obviously\s|certainly\s|completely\s)?{_WRONG}"
    r"|\s(?:isn't|aren't|wasn't|can't|cannot|doesn't|does not|don't|do not|won't|will not|wouldn't|"
    r"would not|couldn't|fails|"
    r"contradicts|n'est pas|no es|no está|não é|não está|non è|niet|değil|nie jest|bukan|не является)\b"
    r"|[,:]\s?(?:no|nope|wrong|incorrect|false|not correct|not right)\b(?!\s[a-z])"
    r"|[).:]?[^\n.;]{0,80}[-:(,]\s?(?:wrong|incorrect|false|no)\s?\)?[.!]?\s{0,3}(?:\n|$)"
    r"|\s?[-:,]?\s?(?:это\s|является\s)?(?:невер|неправил|не\s(?:верн|правил|подход)|ошибоч)"
    r"|\s(?:ليست|ليس|خطأ|خاطئ|غير)|\s(?:नहीं|गलत|ग़लत)|\s(?:सही|उत्तर)\s(?:उत्तर\s)?नहीं|\sনয়|\sنیست"
    r"|\s?(?:选项|選項|选|项|項)?\s?(?:的\S{1,6})?(?:都|均|全)?(?:是|也)?(?:不|错|錯|非|并不|并非|並非|有误|有誤|可以排除|可排除|被排除|排除)"
    r"|\s?(?:では|じゃ|でも|でな)(?:あり(?:ません)|な|く)|\s?(?:は|が|も)(?:間違|誤|正しく(?:な|あり)|不正解|違|ちが|不適|適切で(?:な|は))"
    r"|とは(?:思いません|思わない|言え)|を(?:選びません|選ばない|除)|だとは思(?:いません|わない)"
    r"|\s?(?:번)?(?:가|이|은|는|도)\s?(?:아니|아닙|아닌|틀|오답|정답이\s?아|맞지\s?않|옳지\s?않|잘못)",
    re.IGNORECASE,
)
_RIGHT = (
    r"(?:right|correct|best|answer|true|appropriate|accurate|valid|it\b|better|the one|most|my (?:answer|"
    r"choice)|what|"
    r"richtig|korrekt|die (?:richtige|korrekte|beste)|correcta|correcto|la (?:correcta|respuesta|"
    r"opción correcta)|correcte?\b|juste|la "
    r"(?:bonne|réponse)|correta|correto|certa|a (?:resposta|correta|certa|opção correta)|corretta|giusta|"
    r"la (?:risposta|corretta)|juist|correct|het "
    r"juiste|rätt|riktig|rigtig)"
)
RIGHT_AFTER = re.compile(
    rf"[)\"']?\s(?:{_IS}|fits|must be|sounds|appears|appears to be|seems to be)\s(?:also\s|the\s|most\s|"
    rf"only\s|likely\s|probably\s|clearly\s|"
    rf"indeed\s|therefore\s|thus\s|definitely\s|obviously\s|a\s|single\s|one\s|that is\s){{0,4}}{_RIGHT}"
    r"|\s(?:makes (?:more|most|the most) sense|fits best|works best|fits|remains|wins|it is|is\s?(?:[.!]|$))"
    r"|[).:]?[^\n.;]{0,80}[-:(,]\s?(?:correct|right|yes|true)\s?\)?[.!]?\s{0,3}(?:\n|$)"
    r"|\s?[-:]?\s?(?:это\s|является\s)?(?:верн|правильн)|\s(?:هي|هو)\s(?:الإجابة\s|الجواب\s)?الصحيح|"
    r"\sصحيح|\s(?:सही|है)|\sঠিক|\sاست\b"
    r"|\s(?:doğru|doğrudur|jest (?:poprawn|prawidłow)|là (?:đáp án|đúng)|adalah jawaban|benar)"
    r"|\s?(?:选项|選項|项|項)?\s?(?:是|为|為)?(?:唯一)?(?:正确|正確|对的|對的|对|對|最佳|最合适|答案)|(?:选项|選項|项|項)\s?(?:$|[.!])"
    r"|\s?が(?:正解|正しい|答え|適切|最も|当て)|\s?を(?:選[^ば]|えら)|\s?(?:です|だと思|である|だ[.\s]|だ$|と思います|になります|となります)"
    r"|\s?번?\s?(?:가|이)\s?(?:정답|맞|옳|답|가장)|\s?번?\s?(?:를|을)\s?(?:선택|고르|고릅|골|택)|\s?번?\s?(?:입니다|이다|이며|예요|이에요|"
    r"라고 생각)|\s?번\s?(?:$|[.!])",
)
"""What follows a letter that is said to be right, or wrong."""

# Scripts without blanks between words, and nouns with a particle behind them.
_PARTICLES = (
    r"(?:应该|应該|应|應|就|是|为|為|选|選|择|擇|的|项|項|番号|記号|记号|"
    r"は|が|を|の|은|는|이|가|번|[:'\"(\s-])"
)
RUN_ANSWER = re.compile(
    r"(?:答案|答|正解|正答|答え|回答|解答|こたえ|正しい選択肢|正しいもの|正确选项|正确的选项|正確選項|本题|"
    r"정답|답안|답|올바른\s?것|옳은\s?것|맞는\s?것|คำตอบ|คำตอบที่ถูกต้อง|ถูกต้องคือ)"
    rf"{_PARTICLES}{{0,8}}(?:选项|選項|選択肢)?{_PARTICLES}{{0,3}}(?:คือ)?$"
)
RUN_CHOICE = re.compile(
    r"(?:选择|選擇|应选|故选|选|選|认为|認為|觉得|所以|因此|应该是|而是|就是|ではなく|じゃなく|でなく|でなくて|아니라|私は|저는|나는|という[答結]|只有|(?:^|"
    r"[,.;\s])[是为])"
    r"(?:应该|是|为|:|的|答案|选项|、|,|\s|\()*$"
)
RUN_DENIED = re.compile(
    r"(?:不|别|勿|並非|并非|没有?|排除|除了|而非|而不)(?:应该|应|能|该|会|可能|可|要|是|选择|选|選|為|为|\s|\()*$"
)
RUN_OPTION = re.compile(r"(?:选项|選項|選択肢|选择肢|보기|선택지)(?:は|が|은|는|:|\s|\()*$")
