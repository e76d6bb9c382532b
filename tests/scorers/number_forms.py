"""Numbers in the forms of answers, with the value that a person reads; None where there is not one number."""

from __future__ import annotations

__all__ = ["READ"]

READ: list[tuple[str, str | None]] = [
    # Equations: the worked solutions of GSM8K (Cobbe et al. 2021) and MATH.
    ('3 + 4 = 7', '7'), ('3+4=7', '7'), ('3 + 4 = 7 and that is it', '7'), ('2 * 3 = 6, 6 + 1 = 7', '7'),
    ('x = 7', '7'), ('So 12 - 5 = 7 eggs', '7'), ('7 = 3 + 4', None),
    # Equations behind a mark.
    ('Answer: 3 + 4 = 7', '7'), ('The answer is 3 + 4 = 7', '7'), ('The answer is 3 + 4 = 7.', '7'),
    ('#### 3+4=7', '7'), ('\\boxed{3+4=7}', '7'), ('\\boxed{x = 7}', '7'), ('\\boxed{n=7}', '7'),
    ('Answer: 6*7 = 42', '42'), ('The answer is 10/2 = 5', '5'), ('The answer is 5 x 8 = $40', '40'),
    ('The answer is 2^3 = 8', '8'), ('the answer is \\frac{10}{2} = 5', '5'),
    ('The answer is $3 \\times 4 = 12$.', '12'), ('The answer is 5 = 5', '5'),
    # Fractions: MATH's \frac forms (Hendrycks et al. 2021), Unicode's vulgar fractions.
    ('\\frac12', '1/2'), ('\\dfrac{1}{2}', '1/2'), ('\\tfrac12', '1/2'), ('\\frac 1 2', '1/2'),
    ('\\frac1{2}', '1/2'), ('\\frac{1}2', '1/2'), ('\\frac{ 1 }{ 2 }', '1/2'), ('-\\frac12', '-1/2'),
    ('\\frac{-1}{2}', '-1/2'), ('\\frac{1}{-2}', '-1/2'), ('\\frac{1,000}{3}', '1000/3'),
    ('$\\frac{1}{2}$', '1/2'), ('\\boxed{\\frac12}', '1/2'), ('\\boxed{\\dfrac{1}{2}}', '1/2'),
    ('\\boxed{-\\dfrac{1}{2}}', '-1/2'), ('\\boxed{\\frac{\\text{1}}{2}}', '1/2'), ('1\\frac12', '3/2'),
    ('1 \\frac{1}{2}', '3/2'), ('\\boxed{1\\tfrac{1}{2}}', '3/2'), ('-1\\frac{1}{2}', '-3/2'),
    ('{1}/{2}', '1/2'), ('1/2', '1/2'), ('-1/2', '-1/2'), ('1⁄2', '1/2'), ('1 / 2', '1/2'), ('(1/2)', '1/2'),
    ('1 1/2', '3/2'), ('1-1/2', '3/2'), ('1½', '3/2'), ('½', '1/2'), ('¾', '3/4'), ('2 ¼', '9/4'),
    ('-½', '-1/2'), ('⅓', '1/3'),
    # Separators: CLDR's of English, German, Swiss, French and Indian locales.
    ('1.234.567', '1234567'), ('1.234.567,5', '2469135/2'), ('1,234,567.5', '2469135/2'),
    ('1.234.567.890', '1234567890'), ('12.345.678', '12345678'), ('1,00,000', '100000'),
    ('12,34,567', '1234567'), ('₹1,00,000', '100000'), ('1,00,000.50', '200001/2'),
    ('10,00,00,000', '100000000'), ('1 000 000', '1000000'), ('1_000_000', '1000000'),
    ("1'000'000", '1000000'), ('1,234', '1234'), ('1.234', '617/500'), ('0,5', '1/2'), ('0.5', '1/2'),
    ('.5', '1/2'), ('5.', '5'), ('-.5', '-1/2'), ('1,5', '3/2'), ('12,345.67', '1234567/100'),
    ('100,000', '100000'), ('0,123', '123/1000'), ('1,2,3', None),
    # Signs, in characters and words.
    ('minus 7', '-7'), ('Minus 7', '-7'), ('negative 7', '-7'), ('negative seven', '-7'),
    ('The answer is minus 7.', '-7'), ('The answer is negative 7', '-7'), ('- 7', '-7'), ('−7', '-7'),
    ('–7', '-7'), ('-7', '-7'), ('+7', '7'), ('plus 7', '7'), ('-$7', '-7'), ('$-7', '-7'), ('−$7', '-7'),
    ('(7)', '7'), ('The answer is (7).', '7'), ('-7.5', '-15/2'), ('5 minus 7', None), ('5 - 7', None),
    # Scale words and abbreviations: CLDR's compact numbers.
    ('$42M', '42000000'), ('$42 M', '42000000'), ('$42m', '42000000'), ('42 million', '42000000'),
    ('$42 million', '42000000'), ('42 Million dollars', '42000000'), ('1.5k', '1500'), ('1.5K', '1500'),
    ('$1.5k', '1500'), ('1.5 thousand', '1500'), ('3 billion', '3000000000'), ('$3B', '3000000000'),
    ('$3bn', '3000000000'), ('3bn', '3000000000'), ('2 trillion', '2000000000000'), ('$2T', '2000000000000'),
    ('5 hundred', '500'), ('3 lakh', '300000'), ('2 crore', '20000000'), ('42M', '42000000'),
    ('The answer is 42 million.', '42000000'), ('\\boxed{42 \\text{ million}}', '42000000'), ('5 m', '5'),
    ('5 km', '5'), ('5 kg', '5'), ('1.2 Mio', '1200000'), ('3 Millionen', '3000000'),
    ('2 millones', '2000000'), ('3万', '30000'), ('5億', '500000000'), ('5亿', '500000000'), ('3만', '30000'),
    ('2千', '2000'),
    # Powers of ten: ISO 80000-1, Python, LaTeX.
    ('4.2 × 10⁴', '42000'), ('4.2e4', '42000'), ('4.2E4', '42000'), ('4.2*10^4', '42000'),
    ('4.2 * 10**4', '42000'), ('4.2 x 10^4', '42000'), ('4.2·10^4', '42000'), ('4.2 \\times 10^4', '42000'),
    ('4.2 \\times 10^{4}', '42000'), ('4.2 \\cdot 10^{4}', '42000'), ('$4.2\\times10^{4}$', '42000'),
    ('4.2 × 10^-2', '21/500'), ('4.2 × 10⁻²', '21/500'), ('4.2e-2', '21/500'), ('4.2e+4', '42000'),
    ('10⁴', '10000'), ('10^4', '10000'), ('10^{4}', '10000'), ('2⁵', '32'), ('2^5', '32'), ('2**5', '32'),
    ('4.2 x 10<sup>4</sup>', '42000'), ('\\boxed{4.2 \\times 10^4}', '42000'),
    ('The answer is 4.2 × 10⁴.', '42000'), ('The answer is 10².', '100'), ('5²', '25'),
    # Ratios.
    ('3:2', '3/2'), ('3 : 2', '3/2'), ('The ratio is 3:2.', '3/2'), ('The answer is 3:2', '3/2'),
    ('\\boxed{3:2}', '3/2'), ('3 to 2', None),
    # Percentages: CLDR's percent signs and words.
    ('50%', '50%'), ('50 %', '50%'), ('50 percent', '50%'), ('50\\%', '50%'), ('fifty percent', '50%'),
    ('12.5%', '25/2%'), ('50 per cent', '50%'), ('50％', '50%'), ('\\boxed{50\\%}', '50%'), ('50 pct', '50%'),
    ('50 Prozent', '50%'), ('50 por ciento', '50%'),
    # Units and currencies: SI brochure, ISO 4217.
    ('12 km', '12'), ('5 kg', '5'), ('12 apples', '12'), ('12 m/s', '12'), ('12 m²', '12'), ('12 m^2', '12'),
    ('12 cm^3', '12'), ('90°', '90'), ('90 degrees', '90'), ('90^\\circ', '90'), ('25°C', '25'),
    ('12km', '12'), ('5kg', '5'), ('30s', '30'), ('12 hours', '12'), ('\\boxed{12 \\text{ m/s}^2}', '12'),
    ('\\boxed{12\\,\\mathrm{km}}', '12'), ('12 mph', '12'), ('€12', '12'), ('12€', '12'), ('12 €', '12'),
    ('12,50 €', '25/2'), ('£12', '12'), ('¥12', '12'), ('₹12', '12'), ('12元', '12'), ('12円', '12'),
    ('12원', '12'), ('12 USD', '12'), ('USD 12', '12'), ('Rs. 12', '12'), ('US$12', '12'),
    ('12 dollars', '12'),
    # Digits of other scripts: Unicode, category Nd.
    ('４２', '42'), ('１，２３４', '1234'), ('٤٢', '42'), ('الجواب ٤٢', '42'), ('४२', '42'), ('৪২', '42'),
    ('۴۲', '42'), ('－７', '-7'), ('４．２', '21/5'), ('٤٫٢', '21/5'), ('١٬٢٣٤', '1234'),
    # English number words.
    ('twenty-one', '21'), ('Twenty-one', '21'), ('twenty one', '21'), ('The answer is twenty-one.', '21'),
    ('forty-two', '42'), ('seven', '7'), ('zero', '0'), ('one hundred', '100'),
    ('one hundred and five', '105'), ('two thousand three hundred', '2300'), ('three million', '3000000'),
    ('a hundred', '100'), ('a dozen', '12'), ('The answer is seven', '7'), ('The answer is seven.', '7'),
    ('Seven.', '7'), ('**Seven**', '7'), ('seven apples', '7'), ('Answer: seven', '7'),
    ('There are seven apples', '7'), ('one half', '1/2'), ('one-half', '1/2'), ('two thirds', '2/3'),
    ('three quarters', '3/4'), ('half', '1/2'), ('minus seven', '-7'),
    # Ranges, lists and choices are not one number.
    ('3-5', None), ('3 - 5', None), ('3–5', None), ('between 3 and 5', None), ('3 to 5', None),
    ('3 or 5', None), ('from 3 to 5', None), ('The answer is 3-5.', None), ('The answer is 3 to 5', None),
    ('The answer is between 3 and 5', None), ('The answer is 3 or 4', None), ('\\boxed{3-5}', None),
    ('\\boxed{3, 5}', None), ('\\boxed{3 \\text{ or } 5}', None), ('#### 3-5', None), ('[3, 5]', None),
    ('(3, 5)', None), ('3..5', None), ('Answer: 3 - 5', None), ('Answer: 3–5', None), ('Answer: 3~5', None),
    ('3 ± 1', None), ('The answer is 3 and 5', None), ('The answer is 3, 4 and 5', None),
    # Marked answers: GSM8K's ####, MATH's \boxed, and words for the answer.
    ('Answer: 42 (because 6*7=42; 3 hours)', '42'), ('Answer: 42, since 6*7 = 42 and 3 is small', '42'),
    ('The answer is 42. It took 3 hours.', '42'), ('The answer is 42 because 6 * 7 = 42', '42'),
    ('The final answer is 42.\n\nNote: 3 hours', '42'), ('#### 42', '42'), ('\\boxed{42}', '42'),
    ('The answer is 42.', '42'), ('First 5, then 6. #### 42\n7', '42'),
    ('I got 5. \\boxed{42} as 6*7 with 3', '42'), ('The answer is 42. Check: 6*7=42, 42-0=42. 100%', '42'),
    ('**Answer: 42**\n\nExplanation: 6 x 7', '42'), ('**Final Answer**\n42', '42'),
    ('Final answer: 42', '42'), ('Answer is 42', '42'), ('ANSWER: 42', '42'), ('answer=42', '42'),
    ('answer: 42', '42'), ('A: 42', '42'), ('Answer:\n42', '42'), ('Answer:\n\n42\n', '42'),
    ('### Answer\n\n**42**', '42'), ('The answer to the question is 42. 3', '42'),
    ('The total answer is 42 in 3 days', '42'), ('Therefore, the answer is $42$. 3', '42'),
    ('The answer is \\(42\\). 3', '42'), ('The answer is **42**. 3', '42'), ('The answer is: 42 3', '42'),
    ('<answer>42</answer> 3', '42'), ('<answer>\n42\n</answer>', '42'),
    ('The correct answer is 42. 3', '42'), ('Solution: 42. Took 3', '42'), ('Result: 42. Took 3', '42'),
    ('Réponse : 42. 3', '42'), ('Respuesta: 42. 3', '42'), ('La respuesta es 42. 3', '42'),
    ('Antwort: 42. 3', '42'), ('Die Antwort ist 42. 3', '42'), ('答案：42。3', '42'), ('答案是42。3', '42'),
    ('答え：42。3', '42'), ('答えは42です。3', '42'), ('정답: 42. 3', '42'), ('정답은 42입니다. 3', '42'),
    ('Ответ: 42. 3', '42'), ('उत्तर: 42. 3', '42'), ('الإجابة: 42. 3', '42'), ('Risposta: 42. 3', '42'),
    ('Resposta: 42. 3', '42'),
    # JSON answers.
    ('{"answer": 42}', '42'), ('{"answer": "42"}', '42'), ('{"answer": 42, "steps": 3}', '42'),
    # Denied, then said.
    ('The answer is not 42. The answer is 43.', '43'), ('The answer is not 42, it is 43', '43'),
    ("The answer isn't 42 but 43", '43'),
    # Boxes.
    ('\\boxed{41} no wait \\boxed{42}', '42'), ('\\fbox{42}', '42'), ('\\boxed 42', '42'),
    ('\\boxed{42}\\boxed{}', '42'), ('$\\boxed{42\\text{ apples}}$', '42'), ('\\boxed{\\$42}', '42'),
    ('\\boxed{\\text{42}}', '42'), ('\\boxed{\\mathbf{42}}', '42'), ('\\boxed{42.}', '42'),
    ('\\boxed{ 42 }', '42'), ('\\boxed{42,000}', '42000'), ('\\boxed{42{,}000}', '42000'),
    ('\\boxed{42\\,000}', '42000'), ('\\boxed{42\\ 000}', '42000'), ('\\boxed{\\approx 42}', '42'),
    ('\\boxed{≈42}', '42'), ('about 42', '42'), ('~42', '42'), ('approximately 42', '42'),
    # Others.
    ('42', '42'), ('42.', '42'), ('42.0', '42'), ('042', '42'), ('It costs $42.00.', '42'),
    ('She has 42 left.', '42'), ('There are 7 days in 1 week', '1'), ('\\sqrt{4}', None),
    ('2\\sqrt{3}', None), ('2π', None), ('\\pi', None), ('e^2', None), ('x^2', None), ('2x', None),
    ('\\infty', None), ('no idea', None), ('one of them', None), ('No one knows', None), ('someone', None),
    ('', None),
]  # fmt: skip
