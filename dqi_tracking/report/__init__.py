"""What a score looks like to people and programs: phases.json, phases.html, the terminal.

`artifact` and `page` make the two files that go onto a run, `overview` a page of many runs;
`terminal` draws a curve as text, `plots` for a paper, `weakness` and `meaning` put the score into
words; `curve` and `geometry` hold what the drawings share. Nothing here reads or writes a file or
a clock.
"""
