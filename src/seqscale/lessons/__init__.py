"""The teaching program's four exercises: predict, see its number beside an instrument's, read what follows.

    catalogue.LESSONS[n].question(constants) -> ask -> Prediction
    catalogue.LESSONS[n].learn(constants)    -> Finding -> text.render, base.record

Nothing is measured here in a way of its own: cells go through the engine, as those of a study do.
"""
