"""What a score looks like to people and programs: phases.json, phases.html, the terminal.

`artifact` and `page` make the two files that go onto a run, `terminal` draws a curve as text,
`geometry` holds what the two drawings share. Nothing here reads or writes a file or a clock.
"""
