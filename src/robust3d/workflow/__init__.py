"""What the rules of `workflow/rules` are filled with; nothing here is part of a job."""
