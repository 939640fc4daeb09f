"""Executions: started, watched, held to budgets, recorded."""
